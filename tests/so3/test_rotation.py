"""Quaternions, matrices and Euler angles obey the laws of SO(3)."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from torch import Tensor

from geocore.so3.rotation import (
    compose,
    euler_zyz_to_matrix,
    geodesic_distance,
    inverse,
    matrix_to_euler_zyz,
    matrix_to_quaternion,
    quaternion_to_matrix,
    rotation_about_z,
)

assert_exact = functools.partial(torch.testing.assert_close, atol=1e-14, rtol=0)


def quaternions(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    q = torch.randn(count, 4, dtype=torch.float64, generator=generator)
    return torch.nn.functional.normalize(q, dim=1)


def test_matrices_are_rotations() -> None:
    R = quaternion_to_matrix(quaternions(200))
    assert_exact(R @ R.mT, torch.eye(3).double().expand_as(R))
    assert_exact(torch.linalg.det(R), torch.ones(200).double())


def test_composition_is_a_homomorphism() -> None:
    p, q = quaternions(200, 1), quaternions(200, 2)
    product = quaternion_to_matrix(p) @ quaternion_to_matrix(q)
    assert_exact(quaternion_to_matrix(compose(p, q)), product)


def test_both_signs_and_any_length_are_one_rotation() -> None:
    q = quaternions(50)
    for other in (-q, 3.5 * q):
        assert_exact(quaternion_to_matrix(other), quaternion_to_matrix(q))


def test_inverse() -> None:
    q = quaternions(50)
    identity = torch.tensor([1.0, 0, 0, 0]).double().expand_as(q)
    assert_exact(compose(q, inverse(q)), identity)
    assert_exact(quaternion_to_matrix(inverse(q)), quaternion_to_matrix(q).mT)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_quarter_turn_moves_the_next_axis_to_the_one_after(axis: int) -> None:
    q = torch.zeros(4).double()
    q[0] = q[1 + axis] = math.sqrt(0.5)
    unit = torch.eye(3).double()
    moved = quaternion_to_matrix(q) @ unit[(axis + 1) % 3]
    assert_exact(moved, unit[(axis + 2) % 3])


def test_matrix_to_quaternion_inverts_also_at_half_turns() -> None:
    half_turns = torch.cat([torch.zeros(100, 1).double(), quaternions(100)[:, 1:]], dim=1)
    q = torch.cat([quaternions(100), half_turns / half_turns.norm(dim=1, keepdim=True)])
    found = matrix_to_quaternion(quaternion_to_matrix(q))
    assert (found[:, 0] >= 0).all()
    assert_exact((found * q).sum(dim=1).abs(), torch.ones(200).double())


def test_euler_angles_of_the_pole() -> None:
    alpha, beta, gamma = torch.tensor([[0.3, -2.0], [1.1, 2.9], [0.7, 4.0]], dtype=torch.float64)
    pole = euler_zyz_to_matrix(alpha, beta, gamma)[..., 2]
    sin = beta.sin()
    expected = torch.stack([sin * alpha.cos(), sin * alpha.sin(), beta.cos()], dim=-1)
    assert_exact(pole, expected)
    zero = torch.zeros(2).double()
    assert_exact(euler_zyz_to_matrix(alpha, zero, gamma), rotation_about_z(alpha + gamma))


def test_rotation_about_z_takes_x_towards_y() -> None:
    R = rotation_about_z(torch.tensor(math.pi / 2, dtype=torch.float64))
    assert_exact(R[:, 0], torch.tensor([0.0, 1.0, 0.0]).double())


def test_geodesic_distance_is_the_angle_and_bi_invariant() -> None:
    p, q, r = quaternions(100, 1), quaternions(100, 2), quaternions(100, 3)
    R = quaternion_to_matrix(compose(inverse(p), q))
    angle = torch.acos(((R.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1))
    distance = geodesic_distance(p, q)
    torch.testing.assert_close(distance, angle, atol=1e-7, rtol=0)
    assert_exact(geodesic_distance(compose(r, p), compose(r, q)), distance)
    assert_exact(geodesic_distance(compose(p, r), compose(q, r)), distance)
    assert (distance <= geodesic_distance(p, r) + geodesic_distance(r, q)).all()


def test_geodesic_distance_keeps_its_digits_for_small_angles() -> None:
    q = torch.tensor([1.0, 0.0, 0.0, 5e-11], dtype=torch.float64)
    identity = torch.tensor([1.0, 0, 0, 0]).double()
    torch.testing.assert_close(
        geodesic_distance(identity, q), torch.tensor(1e-10, dtype=torch.float64), atol=0, rtol=1e-12
    )


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"quaternion has shape \(3,\); expected \(\.\.\., 4\)"):
        quaternion_to_matrix(torch.zeros(3))
    with pytest.raises(ValueError, match=r"matrix has shape \(3, 4\); expected \(\.\.\., 3, 3\)"):
        matrix_to_quaternion(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="second has shape"):
        compose(torch.zeros(4), torch.zeros(5))


def test_euler_angles_there_and_back() -> None:
    drawn = torch.rand(200, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    alpha, beta, gamma = (drawn * math.pi * torch.tensor([2.0, 1.0, 2.0])).unbind(-1)
    # The poles, and points so close to them that a cosine cannot tell.
    beta = torch.cat([beta, torch.tensor([0.0, math.pi, 1e-9, math.pi - 1e-9], dtype=beta.dtype)])
    alpha, gamma = (torch.cat([angle, angle[:4]]) for angle in (alpha, gamma))
    matrix = euler_zyz_to_matrix(alpha, beta, gamma)
    found = matrix_to_euler_zyz(matrix)
    torch.testing.assert_close(found[1], beta, atol=1e-8, rtol=0)  # near pi R holds no more of it
    torch.testing.assert_close(euler_zyz_to_matrix(*found), matrix, atol=1e-14, rtol=0)
    assert bool((found[2][200:202] == 0).all())


def test_what_is_no_rotation() -> None:
    one = torch.eye(3, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"matrix is no rotation: R\^T R differs from 1 by 3;"):
        matrix_to_euler_zyz(2 * one)
    with pytest.raises(ValueError, match="matrix is no rotation: its determinant is -1; expected"):
        matrix_to_euler_zyz(-one)
    with pytest.raises(TypeError, match=r"matrix is torch\.bfloat16; expected float32 or float64"):
        matrix_to_euler_zyz(one.bfloat16())
    with pytest.raises(ValueError, match="R differs from 1 by nan"):
        matrix_to_euler_zyz(one * math.nan)

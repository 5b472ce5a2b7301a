"""Kernels obey their law, and there are as many as theory says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.groups.steerable_fields import Feature, Fields, OnFields, Symmetry
from geocore.groups.steerable_kernels import kernel_basis
from geocore.so3.escnn import import_escnn
from tests.groups.steerable_cases import CASES, features


@pytest.mark.parametrize(("symmetry", "kind"), CASES, ids=lambda case: getattr(case, "name", case))
def test_kernels_are_fixed_points_of_the_action(symmetry: Symmetry, kind: str) -> None:
    """``rho_out(g) k(g^-1 p) rho_in(g)^-1 = k(p)`` where g permutes the pixels."""
    fields = Fields(symmetry, features(symmetry)[kind])
    for i in range(len(fields.features)):
        for o in range(len(fields.features)):
            kernels = kernel_basis(fields, i, fields, o, 5)
            single_in, single_out = (
                Fields(symmetry, (Feature(**{**vars(fields.features[n]), "multiplicity": 1}),))
                for n in (i, o)
            )
            for element in symmetry.on_pixels():
                back = single_in.matrix(element)
                moved = OnFields(single_out).act(element, kernels.transpose(1, 2)).transpose(1, 2)
                turned = torch.einsum("kabxy,cb->kacxy", moved, back)
                torch.testing.assert_close(turned, kernels, atol=1e-13, rtol=0)
            flat = kernels.flatten(1)
            assert len(flat) == 0 or int(torch.linalg.matrix_rank(flat)) == len(flat)


def counts(name: str, one: Feature, two: Feature) -> int:
    fields = Fields(Symmetry.named(name), (one, two))
    return len(kernel_basis(fields, 0, fields, 1, 5))


def test_their_numbers() -> None:
    """On 5 x 5 pixels escnn takes three rings, with frequencies 0; 0 to 2; 0 to 2."""
    scalar, turning = Feature("trivial"), Feature("irreducible", frequency=1)
    # Scalars to scalars see the radius alone; to frequency 1 one real phase without mirrors.
    assert counts("SO2", scalar, scalar) == counts("O2", scalar, scalar) == 3
    assert counts("SO2", scalar, turning) == 2 * counts("O2", scalar, turning) == 4
    # From frequency 1 to itself: 0 and 2, complex numbers: 2 x 3 + 2 x 2.
    assert counts("SO2", turning, turning) == 2 * counts("O2", turning, turning) == 10
    # A mirror halves what regular features of the rotations have, copy by copy.
    regular = Feature("regular")
    assert counts("C4", scalar, regular) == counts("D4", scalar, regular) == 11
    assert counts("D4", regular, regular) == 2 * counts("C4", regular, regular) == 88
    # No function of the plane's points alone changes its sign under every mirror.
    assert counts("O2", scalar, Feature("irreducible", odd=True)) == 0


def span(kernels: Tensor) -> Tensor:
    rows: Tensor = torch.linalg.qr(kernels.flatten(1).T)[0]
    return rows


@pytest.mark.parametrize("name", ["C4", "C8", "SO2"])
def test_they_span_what_escnns_own_convolution_has(name: str) -> None:
    escnn, symmetry = import_escnn(), Symmetry.named(name)
    kind = "irreducible" if symmetry.n is None else "regular"
    feature = Feature(kind, frequency=0 if symmetry.n else 1)
    fields = Fields(symmetry, (Feature("trivial"), feature))
    one, two = (
        escnn.nn.FieldType(escnn.gspaces.rot2dOnR2(symmetry.n or -1), [representation])
        for representation in fields.representations
    )
    theirs = escnn.nn.R2Conv(one, two, 5, bias=False, recompute=True, initialize=False)
    ours = span(kernel_basis(fields, 0, fields, 1, 5))
    with torch.no_grad():
        for number in range(theirs.weights.numel()):
            theirs.weights.zero_()
            theirs.weights[number] = 1
            kernel = theirs.expand_parameters()[0].double().flatten()
            assert (kernel - ours @ (ours.T @ kernel)).norm() < 1e-6 * kernel.norm()
    assert theirs.weights.numel() == ours.shape[1]


def test_a_kernel_of_one_pixel() -> None:
    fields = Fields(Symmetry.named("D4"), (Feature("trivial"), Feature("vector")))
    assert len(kernel_basis(fields, 0, fields, 0, 1)) == 1
    assert len(kernel_basis(fields, 0, fields, 1, 1)) == 0  # nothing at a point has a direction
    assert math.isclose(float(kernel_basis(fields, 0, fields, 0, 1)), 1.0)

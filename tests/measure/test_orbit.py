"""Orbit measures against outputs whose deviation is known, and the law of M^(-1/2)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.groups.orbit import orbit
from geocore.groups.planar_action import OnImages
from geocore.measure.divergence import symmetrised_kl_divergence
from geocore.measure.orbit import (
    orbit_deviation,
    pulled_back,
    relative_deviation,
    same_prediction,
    symmetrised_kl,
)
from geocore.so3.rotation import quaternion_to_matrix
from geocore.so3.sampling import random_rotations

DEVIATIONS = [orbit_deviation, relative_deviation, symmetrised_kl]


def float64(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def normal(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_predictions_that_stay() -> None:
    # Four elements, three inputs: all the same, two the same, only the identity its own.
    predicted = torch.tensor([[2, 0, 1], [2, 1, 0], [2, 0, 0], [2, 2, 2]])
    outputs = torch.nn.functional.one_hot(predicted, 3).double()
    assert same_prediction(outputs).tolist() == [4, 2, 1]
    assert same_prediction(outputs.log()).tolist() == [4, 2, 1]
    assert same_prediction(outputs).dtype == torch.int64


def test_deviation_by_hand() -> None:
    # One input, values 1, 2, 3, 6: mean 3, variance (4 + 1 + 0 + 9) / 4.
    outputs = float64([1, 2, 3, 6])[:, None, None]
    assert float(orbit_deviation(outputs)) == pytest.approx(math.sqrt(3.5), abs=1e-15)
    assert float(relative_deviation(outputs)) == pytest.approx(math.sqrt(3.5) / 3, abs=1e-15)
    assert float(relative_deviation(-outputs)) == pytest.approx(math.sqrt(3.5) / 3, abs=1e-15)
    # Vectors (3, 0) and (3, 8): each .. 4 from the mean (3, 4), of length 5.
    vectors = float64([[[3, 0]], [[3, 8]]])
    assert float(orbit_deviation(vectors)) == 4
    assert float(relative_deviation(vectors)) == 0.8


def test_it_is_the_root_of_summed_variances_in_any_frame() -> None:
    outputs = normal(0, 8, 50, 3)
    found = orbit_deviation(outputs)
    expected = outputs.var(dim=0, correction=0).sum(dim=-1).sqrt()
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=0)
    turned = outputs @ quaternion_to_matrix(random_rotations("so3", 0, np.arange(1)))[0].T
    torch.testing.assert_close(orbit_deviation(turned), found, rtol=1e-13, atol=0)
    torch.testing.assert_close(
        relative_deviation(5 * turned), relative_deviation(outputs), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("measure", DEVIATIONS)
def test_invariant_outputs_have_none(
    measure: Callable[[Tensor], Tensor], dtype: torch.dtype
) -> None:
    outputs = normal(1, 1, 20, 10).expand(7, -1, -1).to(dtype)
    assert torch.equal(measure(outputs), torch.zeros(20, dtype=torch.float64))
    assert same_prediction(outputs).tolist() == [7] * 20


def test_a_mean_of_zero() -> None:
    outputs = float64([[[1.0], [0]], [[-1], [0]]])
    assert relative_deviation(outputs).tolist() == [math.inf, 0]


def test_divergence_is_the_mean_over_the_orbit() -> None:
    values = float64([[[0.9, 0.1]], [[0.1, 0.9]], [[0.9, 0.1]], [[0.1, 0.9]]]).log()
    # 1.6 ln 9 for half of the elements.
    expected = 0.8 * math.log(9)
    assert float(symmetrised_kl(values)) == pytest.approx(expected, abs=1e-14)
    # Logits mean the same, whatever is added to a row of them.
    assert float(symmetrised_kl(values + 7 * normal(2, 4, 1, 1))) == pytest.approx(expected)
    random = normal(3, 5, 30, 4).log_softmax(dim=-1)
    pairs = [symmetrised_kl_divergence(random[0], member) for member in random]
    torch.testing.assert_close(symmetrised_kl(random), torch.stack(pairs).mean(dim=0))


def test_divergence_at_probability_zero() -> None:
    log = float64([[[0.5, 0.5, 0]], [[0.5, 0.5, 0]], [[0.25, 0.75, 0]]]).log()
    assert float(symmetrised_kl(log)) == pytest.approx(0.25 * math.log(3) / 3, abs=1e-15)
    excluded = float64([[[0.5, 0.5, 0]], [[0.5, 0.25, 0.25]]]).log()
    assert float(symmetrised_kl(excluded)) == math.inf


def test_an_equivariant_vector_is_constant_once_pulled_back() -> None:
    rotations = quaternion_to_matrix(random_rotations("so3", 5, np.arange(1, 6)))
    matrices = torch.cat([torch.eye(3, dtype=torch.float64)[None], rotations])
    first, second = normal(4, 40, 3), normal(5, 40, 3)
    outputs = torch.stack([torch.linalg.cross(first @ R.T, second @ R.T) for R in matrices])
    assert float(orbit_deviation(outputs).min()) > 0.01
    assert float(orbit_deviation(pulled_back(outputs, matrices)).max()) < 1e-14
    off = outputs + 0.1 * normal(6, 6, 40, 3)
    assert float(orbit_deviation(pulled_back(off, matrices)).min()) > 0.01


def test_pulling_back_undoes_matrices_that_are_not_orthogonal() -> None:
    # The integers under addition, rho(k) = [[1, k], [0, 1]].
    shear = torch.stack([float64([[1, k], [0, 1]]) for k in range(4)])
    vectors = normal(7, 25, 2)
    outputs = vectors @ shear.mT
    torch.testing.assert_close(
        pulled_back(outputs, shear), vectors.expand(4, -1, -1), rtol=0, atol=1e-14
    )
    assert pulled_back(outputs.float(), shear).dtype == torch.float32


def test_the_mean_of_equivariant_laws_falls_as_the_root_of_the_number_of_members() -> None:
    # Linear readouts of white noise: their law is invariant, so the mean's orbit deviation is
    # M^(-1/2) times one member's. Slope over 32 inputs and 512 members, within .05 of -1/2.
    images = orbit(OnImages(PlanarGroup(4)), normal(8, 32, 6, 6)).flatten(2)
    outputs = images @ normal(9, 512, 36, 1)[:, None]
    sizes = [1, 2, 4, 8, 16, 32]
    found = []
    for size in sizes:
        groups = outputs.unflatten(0, (512 // size, size)).mean(dim=1)
        found.append(float(torch.stack([orbit_deviation(group) for group in groups]).mean()))
    slope = np.polyfit(np.log(sizes), np.log(found), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.05)


@pytest.mark.parametrize("measure", [same_prediction, *DEVIATIONS])
def test_what_they_refuse(measure: Callable[[Tensor], Tensor]) -> None:
    for shape in ((3, 4), (0, 4, 2), (3, 4, 0)):
        with pytest.raises(ValueError) as error:
            measure(torch.ones(shape))
        assert str(error.value) == (
            f"outputs has shape {shape}; expected (order, n, classes), identity first"
        )
    with pytest.raises(TypeError, match=r"^outputs is torch\.int64; expected floats$"):
        measure(torch.ones(2, 2, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"^outputs (holds NaN|ha.*not finite)"):
        measure(torch.full((2, 2, 2), math.nan))


def test_what_pulling_back_refuses() -> None:
    outputs, eye = torch.ones(2, 5, 3), torch.eye(3).repeat(2, 1, 1)
    for matrices, line in [
        (eye[:1], "matrices has shape (1, 3, 3); expected (2, 3, 3) for these outputs"),
        (2 * eye, "matrices[0] is off the identity by 1; expected the identity"),
        (torch.stack([eye[0], 0 * eye[0]]), "matrices[1] has no inverse; "
         "expected a representation's matrix"),
    ]:  # fmt: skip
        with pytest.raises(ValueError) as error:
            pulled_back(outputs, matrices)
        assert str(error.value) == line

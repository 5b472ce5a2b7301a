"""The mixture against its definition, and where members agree or could not disagree more."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.ensembles.mixture import Mixture


def logits(members: int = 5, samples: int = 7, classes: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(members, samples, classes, generator=generator, dtype=torch.float64)


def test_it_is_the_mean_of_the_members() -> None:
    mixture = Mixture(logits())
    members = logits().softmax(dim=2)
    mean = members.mean(dim=0)
    torch.testing.assert_close(mixture.probabilities, mean, rtol=0, atol=1e-15)
    torch.testing.assert_close(mixture.log_probabilities, mean.log(), rtol=0, atol=1e-14)
    total = -(mean * mean.log()).sum(dim=1)
    own = -(members * members.log()).sum(dim=2).mean(dim=0)
    torch.testing.assert_close(mixture.entropy, total, rtol=0, atol=1e-14)
    torch.testing.assert_close(mixture.expected_entropy, own, rtol=0, atol=1e-14)
    torch.testing.assert_close(mixture.mutual_information, total - own, rtol=0, atol=1e-14)


def test_the_order_of_the_members_does_not_matter() -> None:
    one, other = Mixture(logits()), Mixture(logits().flip(0))
    torch.testing.assert_close(one.log_probabilities, other.log_probabilities, rtol=0, atol=1e-15)


@pytest.mark.parametrize("members", [1, 3, 7])
def test_members_that_are_alike_share_no_information(members: int) -> None:
    single = logits(1)
    mixture = Mixture(single.expand(members, -1, -1))
    assert float(mixture.mutual_information.min()) >= 0
    assert float(mixture.mutual_information.max()) <= 1e-15
    torch.testing.assert_close(
        mixture.log_probabilities, single[0].log_softmax(dim=1), rtol=0, atol=1e-15
    )


def test_members_that_are_sure_and_never_agree_know_all_of_it() -> None:
    # Four members, four classes, each sure of its own: H = MI = ln 4.
    mixture = Mixture(1e3 * torch.eye(4, dtype=torch.float64)[:, None])
    assert mixture.entropy.tolist() == pytest.approx([math.log(4)], abs=1e-15)
    assert mixture.mutual_information.tolist() == pytest.approx([math.log(4)], abs=1e-15)
    assert mixture.expected_entropy.tolist() == [0]


def test_probabilities_too_small_for_a_number_keep_their_logarithm() -> None:
    mixture = Mixture(torch.tensor([[[0.0, -2000.0]], [[0.0, -1000.0]]]))
    assert mixture.probabilities.tolist() == [[1, 0]]
    assert mixture.log_probabilities.tolist() == [[0, -1000 - math.log(2)]]
    assert mixture.log_probabilities.dtype == torch.float64


@pytest.mark.parametrize("shape", [(3, 4), (0, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError) as error:
        Mixture(torch.zeros(shape))
    assert str(error.value) == f"logits has shape {shape}; expected (members, n, classes)"

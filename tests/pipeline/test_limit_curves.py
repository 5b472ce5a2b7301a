"""Kernel regression over draws: the theorem of whole orbits, pairs of runs, nested samples."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.config.limit import AccuracyLimit
from geocore.kernels.regression import targets
from geocore.pipeline.limit_curves import compared, curves, gains, of_gram, of_turned, rows, short
from geocore.pipeline.limit_networks import dense_network
from tests.pipeline.limit_jobs import params


def settings(**changes: object) -> AccuracyLimit:
    found = params("accuracy", **changes)
    assert isinstance(found, AccuracyLimit)
    return found


def images(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, 1, 3, 3, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("ridge", [1e-6, 0.1])
def test_whole_orbits_are_the_symmetrised_kernel_with_a_ridge_too(ridge: float) -> None:
    """A dense kernel is invariant under joint turns; both sides to 1e-9 of their size."""
    x, network = images(12), dense_network(2)
    blocks = [network.kernel(x, x.rot90(k, (-2, -1))).ntk for k in range(4)]
    symmetric = torch.stack(blocks).mean(dim=0)
    y = targets(torch.arange(12) % 3, 3)
    shown, asked = torch.arange(7), torch.arange(7, 12)
    one = of_turned(blocks, y, ridge, "turned")(shown, asked)
    two = of_gram(symmetric, y, ridge, "mean")(shown, asked)
    torch.testing.assert_close(one, two, rtol=0, atol=1e-9 * float(two.abs().max()))
    plain = of_gram(blocks[0], y, ridge, "plain")(shown, asked)
    assert float((plain - two).abs().max()) > 0.01


def test_runs_are_paired_and_smaller_sizes_lie_in_larger() -> None:
    seen: dict[str, list[tuple[list[int], list[int]]]] = {"one": [], "two": []}

    def scorer(name: str, right: bool) -> object:
        def scores(shown: Tensor, asked: Tensor) -> Tensor:
            seen[name].append((shown.tolist(), asked.tolist()))
            hot = targets(labels[asked], 3)
            return hot if right else hot.roll(1, 1)

        return scores

    labels = torch.arange(16) % 3
    found, apart = curves(
        {"one": scorer("one", True), "two": scorer("two", False)},  # type: ignore[dict-item]
        labels,
        settings(),
    )
    assert seen["one"] == seen["two"] and len(seen["one"]) == 6
    for (small, asked), (large, again) in zip(seen["one"][::2], seen["one"][1::2], strict=True):
        assert large[: len(small)] == small and asked == again
        assert not set(large) & set(asked)
    assert len({tuple(shown) for shown, _ in seen["one"]}) == 6
    assert found["one"].tolist() == [[1, 1]] * 3 and found["two"].tolist() == [[0, 0]] * 3
    # Of one-hot targets less a third, off by one class: 1 over the root of 2 / 9.
    assert apart["one", "two"] == pytest.approx((9 / 2) ** 0.5, rel=1e-12)


def test_gains_are_means_of_differences_with_their_errors() -> None:
    base = torch.tensor([[0.1, 0.5], [0.3, 0.5]], dtype=torch.float64)
    curve = base + torch.tensor([[0.1, 0.2], [0.2, 0.0]], dtype=torch.float64)
    # Two values a and b: their mean has the standard error |a - b| / 2.
    one, two = gains(curve, base)
    assert one == pytest.approx({"mean": 0.15, "error": 0.05, "least": 0.1})
    assert two == pytest.approx({"mean": 0.1, "error": 0.1, "least": 0.0})
    told = compared({"base": base, "best": curve}, "best", "base", (2, 4))
    assert told["least_gain"] == 0.1 and told["gain"]["2"]["mean"] == 0.15
    assert told["lines"]["base"]["2"] == {"accuracy": 0.2, "error": 0.1}
    kept = list(rows("ntk", {"base": base, "best": curve}, "base", (2, 4)))
    assert kept[0][-2:] == [None, None] and kept[2][-2:] == pytest.approx([0.15, 0.05])
    assert short(curve, base, settings(sizes=[2, 4], gain_min=0.12)) == [
        "limit: with 4 samples symmetry gains 0.1 of accuracy; expected at least 0.12 "
        "(limit.gain_min)"
    ]

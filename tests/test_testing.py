"""The test kit must pass what is right and find what is broken, and say where."""

from __future__ import annotations

import doctest
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import geocore.testing
from geocore.healpix.symmetry import QuarterTurns
from geocore.testing import assert_equivariant, assert_parity


class Rolls:
    """The cyclic group of rolls of a ring of 6 places."""

    name = "rolls"

    def __iter__(self) -> Iterator[int]:
        return iter(range(6))

    def act(self, element: int, x: Tensor) -> Tensor:
        return x.roll(element, dims=-2)


ROLLS = Rolls()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_what_commutes_passes(x: Tensor) -> None:
    assert_equivariant(torch.tanh, ROLLS, x, atol=0)
    assert_equivariant(lambda x: x - x.roll(1, dims=1), ROLLS, x, atol=0)
    assert_equivariant(nn.Linear(3, 5).double(), ROLLS, x, atol=1e-12)
    assert_equivariant(lambda x: x.sum(dim=1), ROLLS, x, atol=1e-14, act_out="invariant")


def test_a_broken_layer_is_found_with_element_place_and_tolerance() -> None:
    class Marked(nn.Module):
        """Adds 1 at place 2 of channel 1: f(g x) has it at 2, g f(x) at 2 + g."""

        def forward(self, x: Tensor) -> Tensor:
            x = x.clone()
            x[:, 2, 1] += 1
            return x

    message = (
        "fn(g x) is not g fn(x) for g = 1 of rolls: they differ by 1 at output[0, 2, 1] "
        "(1 and 0); expected at most atol 0.5; 5 of 6 elements fail"
    )
    with pytest.raises(AssertionError, match=f"^{re.escape(message)}$"):
        assert_equivariant(Marked(), ROLLS, torch.zeros(1, 6, 2), atol=0.5)
    assert_equivariant(Marked(), ROLLS, torch.zeros(1, 6, 2), atol=1)


def test_the_worst_element_is_named() -> None:
    # The first entry becomes 3, 1, 4, 1, 5 under the rolls by 1 to 5.
    ring = torch.tensor([0.0, 5, 1, 4, 1, 3]).reshape(1, 6, 1)
    message = r"not fn\(x\) for g = 5 of rolls: they differ by 5 at"
    with pytest.raises(AssertionError, match=message):
        assert_equivariant(lambda x: x[:, 0], ROLLS, ring, atol=1e-3, act_out="invariant")


def test_the_usual_bug_of_a_spherical_network_is_found() -> None:
    group = QuarterTurns(2)
    maps = torch.randn(1, 48, 1, generator=torch.Generator().manual_seed(0)).double()
    assert_equivariant(lambda x: x.unflatten(1, (12, 4)).mean(dim=2), QuarterTurns(2), maps, 1e-14)
    # Rolling the nested order takes pixels over face borders that do not touch there.
    with pytest.raises(AssertionError, match="of quarter turns about z: they differ by"):
        assert_equivariant(lambda x: x.roll(2, dims=1), group, maps, atol=1e-6)


def test_trees_of_tensors_go_in_and_come_out(x: Tensor) -> None:
    def both(pair: tuple[Tensor, Tensor]) -> dict[str, Any]:
        first, second = pair
        return {"sum": first + second, "parts": [first * second, second]}

    assert_equivariant(both, ROLLS, (x, x.square()), atol=0)

    def broken(pair: tuple[Tensor, Tensor]) -> dict[str, Any]:
        return both(pair) | {"parts": [pair[0], pair[0].flip(1)]}

    with pytest.raises(AssertionError, match=r"at output\['parts'\]\[1\]\[[01], \d, \d\]"):
        assert_equivariant(broken, ROLLS, (x, x.square()), atol=1e-9)


def test_an_action_of_its_own_on_the_output(x: Tensor) -> None:
    def flipped(element: int, y: Tensor) -> Tensor:
        return y.roll(-element, dims=-2)

    assert_equivariant(lambda x: x.flip(1), ROLLS, x, atol=0, act_out=flipped)
    with pytest.raises(AssertionError):
        assert_equivariant(lambda x: x.flip(1), ROLLS, x, atol=1e-3)


def test_a_relative_tolerance(x: Tensor) -> None:
    def nearly(x: Tensor) -> Tensor:
        return x * torch.linspace(1, 1.001, 6, dtype=x.dtype)[:, None]

    assert_equivariant(nearly, ROLLS, x, atol=0, rtol=1.1e-3)
    with pytest.raises(AssertionError, match=r"expected at most atol 0 \+ rtol 0.0009;"):
        assert_equivariant(nearly, ROLLS, x, atol=0, rtol=9e-4)


def test_nan_is_a_deviation_and_an_equal_infinity_is_none(x: Tensor) -> None:
    with pytest.raises(AssertionError, match="they differ by nan"):
        assert_equivariant(lambda x: x * math.nan, ROLLS, x, atol=1e9)
    assert_equivariant(lambda x: torch.where(x > 0, x, -torch.inf), ROLLS, x, atol=0)
    # An infinite tolerance of an infinite value is none.
    with pytest.raises(AssertionError, match="they differ by inf"):
        assert_parity(lambda x: x, lambda x: x + torch.inf, x, atol=0, rtol=0.1)


def test_other_shapes_and_structures_are_told(x: Tensor) -> None:
    def ragged(x: Tensor) -> Tensor:
        return x[:, : 2 + int(x[0, 0, 0] > x[0, 1, 0])]

    with pytest.raises(AssertionError, match=r"has shape \(2, \d, 3\) at output; expected \(2, "):
        assert_equivariant(ragged, ROLLS, x, atol=1, act_out="invariant")
    with pytest.raises(AssertionError, match=r"fast gives output\['a'\]; expected output\['b'\]"):
        assert_parity(lambda x: {"a": x}, lambda x: {"b": x}, x, atol=1)


def test_work_in_place_is_no_way_out(x: Tensor) -> None:
    class Lazy(Rolls):
        def act(self, element: int, x: Tensor) -> Tensor:
            return super().act(element, x) if element else x

    before = x.clone()
    assert_equivariant(lambda x: x.relu_(), Lazy(), x, atol=0)
    with pytest.raises(AssertionError):
        assert_equivariant(lambda x: x.cumsum_(1), ROLLS, x, atol=1e-3)
    assert torch.equal(x, before)


def test_what_is_true_of_nothing_is_refused(x: Tensor) -> None:
    class Empty(Rolls):
        def __iter__(self) -> Iterator[int]:
            return iter(())

    with pytest.raises(ValueError, match="group has no elements; expected at least one"):
        assert_equivariant(torch.tanh, Empty(), x, atol=0)
    with pytest.raises(ValueError, match="output has no numbers; expected at least one"):
        assert_equivariant(torch.tanh, ROLLS, x[:0], atol=0)
    with pytest.raises(TypeError, match=r"output\[0\] is str; expected tensors or numbers"):
        assert_equivariant(lambda x: ("a",), ROLLS, x, atol=0)


def test_equal_paths_pass(x: Tensor) -> None:
    assert_parity(lambda x: x.logsumexp(1), lambda x: x.exp().sum(1).log(), x, atol=1e-14)
    weights = torch.rand(3, 2, dtype=torch.float64)
    assert_parity(
        torch.matmul, lambda a, b: (a[..., None] * b).sum(-2), x, weights, atol=0, rtol=1e-9
    )


def test_a_deviating_value_is_found() -> None:
    def nudged(x: Tensor) -> Tensor:
        return x + torch.tensor([[0, 0, 0], [0, 0, 0.25]])

    message = (
        "fast is not reference: they differ by 0.25 at output[1, 2] (1.25 and 1); "
        "expected at most atol 0.125"
    )
    x = torch.ones(2, 3)
    with pytest.raises(AssertionError, match=f"^{re.escape(message)}$"):
        assert_parity(nudged, lambda x: x, x, atol=0.125)
    assert_parity(nudged, lambda x: x, x, atol=0.25)


def test_a_wrong_backward_is_found_though_the_values_agree(x: Tensor) -> None:
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x.square()

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            return ctx.saved_tensors[0] * gradients[0]  # the factor 2 is missing

    def fast(number: int, x: Tensor) -> Tensor:
        out: Tensor = number * Square.apply(x)  # type: ignore[no-untyped-call]
        return out

    def slow(number: int, x: Tensor) -> Tensor:
        return number * x.square()

    assert_parity(fast, slow, 3, x, atol=0, gradients=False)
    with pytest.raises(AssertionError, match=r"at gradient in input 1\[\d, \d, \d\] \("):
        assert_parity(fast, slow, 3, x, atol=1e-9)


def test_a_gradient_that_a_sum_would_hide_is_found(x: Tensor) -> None:
    # The entries of a softmax sum to 1, so the gradient of their plain sum is zero either way.
    def cut(x: Tensor) -> Tensor:
        return x.softmax(1).detach() + 0 * x

    with pytest.raises(AssertionError, match="gradient in input 0"):
        assert_parity(cut, lambda x: x.softmax(1), x, atol=1e-9)


def test_a_detached_path_is_found(x: Tensor) -> None:
    with pytest.raises(AssertionError, match=r"\(fast has no gradient there\)$"):
        assert_parity(lambda x: x.detach() * 2, lambda x: x * 2, x, atol=1)
    with pytest.raises(ValueError, match="no output depends on a float input; expected one, or"):
        assert_parity(lambda x: x.argmax(1), lambda x: x.argmax(1), x, atol=0)
    assert_parity(lambda x: x.argmax(1), lambda x: x.argmax(1), x, atol=0, gradients=False)


def test_a_reference_in_float64_is_a_better_judge() -> None:
    class Mean(nn.Module):
        def __init__(self, exact: bool) -> None:
            super().__init__()
            self.exact = exact
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, x: Tensor) -> Tensor:
            return self.scale * x.mean() if self.exact else self.slowly(x)

        def slowly(self, x: Tensor) -> Tensor:
            total = x.new_zeros(())
            for entry in x:
                total = total + entry
            return self.scale * total / len(x)

    # Entries beyond 2^24 no longer count in a running float32 sum of ones.
    x = torch.ones(64)
    x[0] = 2**24
    naive, exact = Mean(exact=False), Mean(exact=True)
    assert_parity(naive, naive, x, atol=0)
    with pytest.raises(AssertionError, match=r"they differ by 1\.97 at output"):
        assert_parity(naive, exact, x, atol=0, rtol=1e-7, reference_dtype=torch.float64)
    assert_parity(exact, exact.slowly, x, atol=0, rtol=1e-6, reference_dtype=torch.float64)
    assert exact.scale.dtype == torch.float32, "the given module is left as it is"


def test_inputs_in_trees_are_differentiated(x: Tensor) -> None:
    def fast(tree: dict[str, Tensor]) -> Tensor:
        return tree["a"] * tree["b"].detach()

    def slow(tree: dict[str, Tensor]) -> Tensor:
        return tree["a"] * tree["b"]

    with pytest.raises(AssertionError, match=r"gradient in input 0\['b'\]"):
        assert_parity(fast, slow, {"a": x, "b": x + 1}, atol=1e-9)
    assert_parity(slow, slow, {"a": x, "b": x + 1}, atol=0)


def test_the_examples_of_the_docstrings_hold() -> None:
    names = {"torch": torch, **{name: getattr(geocore.testing, name) for name in ["assert_parity"]}}
    failed, tried = doctest.testmod(
        geocore.testing, extraglobs={**names, "assert_equivariant": assert_equivariant}
    )
    assert tried >= 9
    assert failed == 0

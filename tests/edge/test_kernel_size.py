"""Digits of weights: by hand, by another way to find them, and trees by trying all of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.kernel_size import KernelSize, digits, tree_digits
from geocore.edge.nodes import IMAGES, Dense


def naive_digits(number: int) -> int:
    """Of the form without neighbouring digits, found digit by digit from the lowest."""
    count, rest = 0, number
    while rest:
        if rest % 2:
            rest -= 2 - rest % 4  # 1, or -1 where a 1 would have a neighbour
            count += 1
        rest //= 2
    return count


@pytest.mark.parametrize(
    ("number", "wanted"), [(0, 0), (1, 1), (-1, 1), (3, 2), (7, 2), (11, 3), (85, 4), (-127, 2)]
)
def test_digits_by_hand(number: int, wanted: int) -> None:
    assert digits(np.array([number])).tolist() == [wanted] and naive_digits(number) == wanted


def test_digits_of_all_numbers_of_ten_bits() -> None:
    numbers = np.arange(-1024, 1025)
    assert digits(numbers).tolist() == [naive_digits(int(number)) for number in numbers]


@pytest.mark.parametrize("seed", range(8))
def test_no_tree_has_fewer_digits(seed: int) -> None:
    """Each of four rows hangs on 0 or another row; the ways that are no tree cost no less."""
    weight = np.random.default_rng(seed).integers(-9, 10, (4, 3))

    def branch(row: int, on: int) -> int:
        if on == 4:
            return int(digits(weight[row]).sum())
        ways = (weight[row] - weight[on], weight[row] + weight[on])
        return min(int(digits(way).sum()) for way in ways)

    def is_tree(on: tuple[int, ...]) -> bool:
        for row in range(4):
            steps = 0
            while row != 4 and steps <= 4:
                row, steps = on[row], steps + 1
            if steps > 4:
                return False
        return True

    least = min(
        sum(branch(row, on[row]) for row in range(4))
        for on in itertools.product(range(5), repeat=4)
        if is_tree(on)
    )
    assert tree_digits(weight) == least


def test_a_row_again_or_negated_costs_nothing() -> None:
    row = np.array([[3, -5, 7, 1]])
    assert tree_digits(np.concatenate([row, -row, row])) == tree_digits(row) == 7


def test_a_node_is_counted() -> None:
    weight = torch.tensor([[3, 0, -4], [0, 0, 0], [3, 0, -5]])
    node = Dense(
        "d", (IMAGES,), weight, torch.tensor([0, 2, 0]), FixedPoint(5, 0, signed=True),
        FixedPoint(4, 0, signed=False), None,
    )  # fmt: skip
    assert KernelSize.of(node) == KernelSize(
        digits=7, tree=4, most=4, outputs=2, inputs=2, biases=1, weight_bits=4, input_bits=4,
        signed=False, accumulator=8,
    )  # fmt: skip
    nothing = Dense(
        "d", (IMAGES,), weight * 0, torch.tensor([0, 2, 0]), FixedPoint(5, 0, signed=True),
        FixedPoint(4, 0, signed=False), None,
    )  # fmt: skip
    assert KernelSize.of(nothing).empty and not KernelSize.of(node).empty

"""How many adders a kernel takes, from its weights alone, in a millisecond.

A constant times a number is a sum of shifts of it, one for each non-zero digit of the constant in
canonical signed-digit form: ``D`` digits for ``O`` outputs are ``D - O`` adders. alkaid shares
sums: between outputs, so that an output may be another one and the digits of their difference (the
least tree of such differences has ``T`` digits), and within them. What it comes to is fitted,
``log adders`` being a polynomial of second degree in logarithms of ``T`` and of the numbers and
widths of inputs and outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
import numpy.typing as npt

from geocore.edge.nodes import Weighted

__all__ = ["KernelSize", "digits", "tree_digits"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class KernelSize:
    """``digits`` and ``tree`` digits of the weights, the largest row's, and what they are between.

    ``outputs`` that are no constants, ``inputs`` that are read, ``biases`` that are not 0;
    ``weight_bits`` of the largest weight with its sign, ``input_bits``, ``signed`` inputs or not,
    bits of the ``accumulator``.
    """

    digits: int
    tree: int
    most: int
    outputs: int
    inputs: int
    biases: int
    weight_bits: int
    input_bits: int
    signed: bool
    accumulator: int

    @classmethod
    def of(cls, node: Weighted) -> KernelSize:
        """Of a node's kernel of adders."""
        weight = node.weight.flatten(1).numpy()
        rows = digits(weight).sum(axis=1)
        return cls(
            digits=int(rows.sum()),
            tree=tree_digits(weight),
            most=int(rows.max()),
            outputs=int((rows > 0).sum()),
            inputs=int(weight.any(axis=0).sum()),
            biases=int(node.bias.count_nonzero()),
            weight_bits=int(np.abs(weight).max()).bit_length() + 1,
            input_bits=node.input.bits,
            signed=node.input.signed,
            accumulator=node.accumulator.bits,
        )

    @property
    def empty(self) -> bool:
        """Whether its outputs are constants all."""
        return self.digits == 0

    def features(self) -> dict[str, float]:
        """What the logarithm of its adders is a sum of. Not for an empty one."""
        terms = log(max(self.tree - self.outputs / 2, 1.0))
        bits, outputs, inputs = log(self.input_bits + 1), log(self.outputs), log(self.inputs)
        # Digits of an output, and how often a pair of them comes again by chance.
        pairs = (self.digits / self.outputs) ** 2 * self.outputs
        places = self.inputs**2 * 2 * self.weight_bits
        first = {"terms": terms, "bits": bits, "outputs": outputs, "inputs": inputs}
        names = list(first)
        second = {
            f"{one} {other}": first[one] * first[other]
            for n, one in enumerate(names)
            for other in names[n:]
        }
        return (
            {"1": 1.0, **first, "accumulator": log(self.accumulator)}
            | {"weight bits": log(self.weight_bits), "shared": log(self.digits) - terms}
            | {"signed": float(self.signed), "one bit": float(self.input_bits == 1)}
            | {"chance": log(1 + pairs / places)}
            | second
        )

    def stored(self, adders: float, levels: int) -> dict[str, float]:
        """What the logarithm of its bits of registers is a sum of; ``levels`` adders lie between
        two.
        """
        stages = log(max(log(max(self.most, 2), 2) / levels, 0.3))
        own = {"adders": log(max(adders, 1.0)), "stages": stages, "stages stages": stages**2}
        return self.features() | own

    def depth(self) -> dict[str, float]:
        """What its adders in a row, one behind the other, are a sum of."""
        return {
            "1": 1.0,
            "most": log(max(self.most, 1)),
            "shared": log(max(self.digits, 1) / max(self.tree, 1)),
            "accumulator": log(self.accumulator),
        }


def digits(weight: Integers) -> Integers:
    """Non-zero digits of each integer in canonical signed-digit form: the ones of ``n xor 3n``."""
    size = np.abs(weight)
    count: Integers = np.bitwise_count(size ^ (3 * size)).astype(np.int64)
    return count


def tree_digits(weight: Integers) -> int:
    """Digits of the least tree that leads from 0 to all rows of ``(out, in)``.

    A branch is a row, or the sum or the difference of two, whichever has the fewest digits (the
    minimum spanning tree of arXiv:2507.04535, by Prim's way).
    """
    left = digits(weight).sum(axis=1)
    rows, total = weight, 0
    while len(rows):
        n = int(left.argmin())
        total += int(left[n])
        row, rows, left = rows[n], np.delete(rows, n, axis=0), np.delete(left, n)
        between = np.minimum(digits(rows - row).sum(axis=1), digits(rows + row).sum(axis=1))
        left = np.minimum(left, between)
    return total

"""What computes kernels of pairs of inputs: the one interface of all that works with kernels."""

from __future__ import annotations

import re
from typing import Protocol, runtime_checkable

from torch import Tensor

from geocore.kernels.composed import Kernels

__all__ = ["PairKernel", "described"]


@runtime_checkable
class PairKernel(Protocol):
    """``K(x_i, x'_j)`` and ``Theta(x_i, x'_j)``: the NNGP and the tangent kernel of a network.

    ``geocore.kernels.composed.InfiniteNetwork`` is one. Regression, blocks of a store and studies
    ask for no more than this, so that any network's kernel serves.
    """

    def kernel(self, x1: Tensor, x2: Tensor | None = None) -> Kernels:
        """Both kernels, ``(n1, n2)`` each, in the inputs' dtype; of ``x1`` with itself without
        ``x2``. Raises ``ValueError`` for inputs of different shapes or that it does not take.
        """
        ...

    def diagonal(self, x: Tensor) -> Kernels:
        """``K(x_i, x_i)`` and ``Theta(x_i, x_i)``, ``(n,)`` each."""
        ...

    def describe(self) -> str:
        """All that decides the kernel but its code and the inputs: equal words, equal kernels."""
        ...


def described(kernel: PairKernel) -> str:
    """``kernel.describe()``, by which what is stored of a kernel is known.

    Raises ``ValueError`` for words that hold an address: another process would have other ones.
    """
    words = kernel.describe()
    if found := re.search(r"<[^<>]* at 0x[0-9a-f]+>", words):
        raise ValueError(
            f"describe() of {type(kernel).__name__} holds {found[0]}; expected words that are the "
            "same in every process"
        )
    return words

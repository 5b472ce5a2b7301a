"""The kernels of one pair of batches: computed, checked, kept in a file, and how large to take it.

A block is computed by one thread. Sums are then in one order, so that its bytes do not depend on
how many blocks are worked on at once.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from geocore.kernels.composed import InfiniteNetwork, Kernels
from geocore.kernels.protocol import PairKernel

__all__ = ["default_block", "kernel_block", "read_block", "write_block"]

_FILE = "block.safetensors"
_WORK = 2**28  # entries of covariances in a block: some seconds of a core
_SMALLEST, _OTHERWISE, _LARGEST = 64, 256, 1024  # samples of a batch


def default_block(kernel: PairKernel, x: Tensor) -> int:
    """Samples of a batch for inputs ``x (n, ...)``, by what a pair of them holds.

    A block takes seconds, beside which the milliseconds of a piece of a store count for nothing,
    and yet so few that little is lost with one: a power of 2 from 64 to 1024. It depends on sizes
    alone, never on a clock: a block's size may move the last bits of what is in it.
    """
    if isinstance(kernel, InfiniteNetwork):
        entries = kernel.entries(x.shape[2], x.shape[3]) if x.ndim == 4 else 1
    elif (counted := getattr(kernel, "entries", None)) is not None:
        entries = int(counted())
    else:
        return _OTHERWISE
    side = int(2 ** round(math.log2(math.sqrt(_WORK / entries))))
    return max(_SMALLEST, min(side, _LARGEST))


def kernel_block(kernel: PairKernel, x1: Tensor, x2: Tensor | None = None) -> Kernels:
    """Both kernels of two batches, or of one with itself.

    Raises ``ValueError`` for what the kernel does not take, and where an entry is not finite.
    """
    found = kernel.kernel(x1, x2)
    for name, values in found._asdict().items():
        if not torch.isfinite(values).all():
            wrong = values[~torch.isfinite(values)][0].item()
            raise ValueError(
                f"the {name} has an entry {wrong}; expected inputs and weights whose kernel "
                f"{str(values.dtype).removeprefix('torch.')} holds"
            )
    return found


def write_block(folder: Path, found: Kernels) -> None:
    """Keep it in a folder of its own."""
    # Cloned: one Dense alone gives both kernels as one tensor, and a file holds none twice.
    whole = {name: values.cpu().contiguous().clone() for name, values in found._asdict().items()}
    save_file(whole, folder / _FILE)


def read_block(folder: Path) -> Kernels:
    """What ``write_block`` kept there."""
    return Kernels(**load_file(folder / _FILE))

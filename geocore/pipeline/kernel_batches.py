"""Samples of a kernel matrix in batches, and what each batch and the kernel are known by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from geocore.kernels.assembly import in_batches
from geocore.runs.digest import digest_bytes

__all__ = ["Batches", "deciding_modules", "first_not_finite"]


@dataclass(frozen=True)
class Batches:
    """Samples ``(n, ...)``, ``size`` at a time, each batch in ``dtype`` as it is asked for."""

    samples: Tensor
    size: int
    dtype: torch.dtype

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, batch: int) -> Tensor:
        return self.samples[self._places[batch]].to(self.dtype)

    @cached_property
    def digests(self) -> list[str]:
        """What each batch's shape and numbers are known by."""
        found = []
        for batch in range(len(self)):
            x = self[batch]
            shape = f"{tuple(x.shape)}".encode()
            found.append(digest_bytes(shape + x.contiguous().numpy().tobytes()))
        return found

    @cached_property
    def digest(self) -> str:
        """What all of them are known by."""
        return digest_bytes("".join(self.digests).encode())

    @cached_property
    def _places(self) -> list[slice]:
        return in_batches(len(self.samples), self.size)


def first_not_finite(x: Tensor) -> int | None:
    """The first sample of ``x (n, ...)`` with a number that is not finite."""
    for place in in_batches(len(x), 4096):
        wrong = x[place].flatten(1).isfinite().all(dim=1).logical_not().nonzero()
        if len(wrong):
            first: int = place.start
            return first + int(wrong[0, 0])
    return None


def deciding_modules(kernel: object) -> set[str]:
    """The modules of ours that a kernel's class, and those of all that it holds, come from."""
    found: set[str] = set()
    seen: set[int] = set()
    waiting: list[object] = [kernel]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, (tuple, list)):
            waiting += thing
        elif type(thing).__module__.startswith("geocore."):
            found.add(type(thing).__module__)
            waiting += getattr(thing, "__dict__", {}).values()
    return found

"""Memory that stays with the process, for work that takes and gives back the same few blocks."""

from __future__ import annotations

import numpy as np

__all__ = ["keep_pages"]

_LARGEST = 31 * 2**20  # bytes; glibc adapts to blocks of up to 32 MiB


def keep_pages() -> None:
    """Makes glibc keep up to 62 MiB of what is freed, in this process from here on.

    By default it hands free memory at the heap's end back to the system: the next tensor of a
    megabyte then costs a fault for each of its pages, as long as some operations on all of them.
    glibc's rule is to keep twice the largest block that was mapped alone and freed (``mallopt``,
    section ``M_MMAP_THRESHOLD``): so one is taken here and freed, untouched, within microseconds.
    Other allocators do not mind.
    """
    np.empty(_LARGEST, dtype=np.uint8)

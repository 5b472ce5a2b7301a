"""Which seeds an ensemble's members have, and which members are trained together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["in_chunks", "member_seeds"]

_MEMBERS = 3  # the stream of the seed that members' seeds are drawn from
_MOST = 2**20  # members: far below the 2^31 seeds, so that a new one is always soon found


def member_seeds(seed: int, members: int) -> tuple[int, ...]:
    """Distinct seeds, ``members`` of them, each from 0 to 2^31 - 1.

    ``member_seeds(seed, m)`` begins ``member_seeds(seed, n)`` for ``m < n``: an ensemble grows by
    new members and keeps the old. Member ``k`` has the ``k``-th new number in the stream of
    numpy's ``SeedSequence``. Raises ``ValueError`` for a seed outside that range, and for no
    members or more than 2^20.
    """
    if not 0 <= seed < 2**31:
        raise ValueError(f"seed is {seed}; expected 0 to 2^31 - 1")
    if not 1 <= members <= _MOST:
        raise ValueError(f"members is {members}; expected 1 to {_MOST}")
    sequence, length = np.random.SeedSequence([_MEMBERS, seed]), members
    while True:
        stream = sequence.generate_state(length) >> 1
        _, first = np.unique(stream, return_index=True)
        if len(first) >= members:
            return tuple(stream[np.sort(first)[:members]].tolist())
        length *= 2  # a number came twice: a longer stream begins with this one


def in_chunks(seeds: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """``seeds`` in order, ``size`` at a time; the last chunk may be smaller.

    Raises ``ValueError`` unless ``size`` is from 1 to the number of seeds.
    """
    if not 1 <= size <= len(seeds):
        raise ValueError(f"size is {size}; expected 1 to the {len(seeds)} seeds")
    return [tuple(seeds[start : start + size]) for start in range(0, len(seeds), size)]

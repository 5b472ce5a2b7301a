"""What no recent run needs any more: pieces, outputs under way, lock files."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from geocore.errors import UserError
from geocore.runs.atomic import discard, remove_stale, tree_size
from geocore.runs.digest import DIGEST_LENGTH
from geocore.runs.ledger import Ledger
from geocore.runs.locks import HeldError, hold
from geocore.runs.store import Store

__all__ = ["Collected", "collect"]

_KEY_GLOB = "[0-9a-f]" * DIGEST_LENGTH


@dataclass(frozen=True)
class Collected:
    """How many pieces, work folders and lock files went, and the bytes of the first two."""

    pieces: int
    piece_bytes: int
    work: int
    work_bytes: int
    locks: int


def collect(home: Path, ledger: Ledger, last: int) -> Collected:
    """Remove what the runs of ``ledger.kept(last)`` do not name; what is locked stays.

    ``home`` holds ``store``, ``work`` (a folder per key) and ``locks`` (``STAGE-KEY.lock``), and
    what a killed process was about to put elsewhere (a new study).
    Raises ``UserError`` if a ledger entry is damaged: what it names would be taken for garbage.
    """
    if damaged := ledger.damaged():
        files = ", ".join(line.partition(": not a ledger entry")[0] for line in damaged)
        raise UserError(
            f"{files}: damaged, so what this run needs is unknown and nothing is removed; "
            "repair or delete it first"
        )
    store = Store(home / "store")
    pieces, piece_bytes = store.gc(_with_parts(store, ledger.pieces_in_use(last)))
    work, work_bytes = _collect_work(home, ledger, last)
    return Collected(pieces, piece_bytes, work, work_bytes, _collect_locks(home))


def _with_parts(store: Store, keys: set[str]) -> set[str]:
    """The keys, and those of the parts that these pieces were put together from."""
    kept = set(keys)
    for piece in store.pieces():
        if piece.key in keys:
            kept.update(piece.values.get("parts", ()))
    return kept


def _collect_work(home: Path, ledger: Ledger, last: int) -> tuple[int, int]:
    root = home / "work"
    kept = {entry.get("key") for entry in ledger.kept(last)}
    count, freed = 0, remove_stale(home)[1] + remove_stale(root)[1]
    for folder in sorted(root.glob(_KEY_GLOB)):
        if folder.name in kept:
            continue
        with suppress(HeldError), ExitStack() as held:
            for lock in (home / "locks").glob(f"*-{folder.name}.lock"):
                held.enter_context(hold(lock, "gc", wait=False))
            freed += tree_size(folder)
            discard(folder)
            count += 1
    return count, freed


def _collect_locks(home: Path) -> int:
    count = 0
    for lock in sorted((home / "locks").glob(f"*-{_KEY_GLOB}.lock")):
        with suppress(HeldError), hold(lock, "gc", wait=False):
            lock.unlink()  # whoever holds a lock may remove it: see locks.hold
            count += 1
    return count

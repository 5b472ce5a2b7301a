"""The last two checkpoints of a long work: two pieces in turn, so that one may be damaged."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from geocore.runs.digest import digest_json
from geocore.runs.store import Piece, Store

__all__ = ["Slots"]


class Slots:
    """Checkpoints of the work of ``key`` in ``store``, each with the step that it stands at."""

    def __init__(self, store: Store, key: str) -> None:
        self.store, self.work = store, key
        self._next = [digest_json([key, "checkpoint", slot]) for slot in range(2)]

    @property
    def keys(self) -> list[str]:
        """The keys of both, for the ledger: what a run names, ``gc`` keeps."""
        return sorted(self._next)

    def newest(self) -> Piece | None:
        """The newest that is whole; the next one takes the place of the other."""
        found = [piece for key in self._next if (piece := self.store.find(key)) is not None]
        if not found:
            return None
        newest = max(found, key=lambda piece: int(piece.values["step"]))
        if newest.key == self._next[0]:
            self._next.reverse()
        return newest

    def save(self, step: int, fill: Callable[[Path], None]) -> None:
        """Replace the older of the two by what ``fill(folder)`` writes.

        Both stay if ``fill`` raises ``FloatingPointError``: a state that is not finite is none to
        go on from.
        """
        key = self._next[0]

        def build(folder: Path) -> dict[str, int]:
            fill(folder)
            return {"step": step}

        about = {"work": self.work}
        with suppress(FloatingPointError):
            self.store.replace(key, build, verb="checkpoint", parameters=about)
            self._next.reverse()

    def remove(self) -> None:
        """The work is sealed and needs them no more."""
        for key in self._next:
            self.store.remove(key)

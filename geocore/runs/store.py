"""The piece store: what is inside a stage, kept under a key that says all it depends on."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geocore.runs.atomic import discard, remove_stale, replacing, tree_size
from geocore.runs.digest import DIGEST_LENGTH, digest_json
from geocore.runs.environment import library_versions
from geocore.runs.locks import HeldError, hold
from geocore.runs.manifest import read_manifest, verify, write_manifest

__all__ = ["Piece", "Store", "piece_key"]

_KEY_GLOB = "[0-9a-f]" * DIGEST_LENGTH
_log = logging.getLogger(__name__)

Build = Callable[[Path], Mapping[str, Any] | None]
Report = Callable[[str], None]


def piece_key(
    verb: str,
    *,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, str],
    code: str,
    libraries: Mapping[str, str] | None = None,
    dtype: str = "float32",
    device: str = "cpu",
) -> str:
    """The key of a piece: the digest of all that its content depends on, 32 hex characters.

    ``inputs`` maps names to digests, ``code`` is the ``code_digest`` of the modules that make the
    piece, ``libraries`` defaults to the versions of the installed numeric libraries; the minor
    version of Python counts too. ``device`` is the class, ``"cpu"`` or ``"cuda"``. Raises
    ``ValueError`` or ``TypeError`` for parameters that are no finite JSON.
    """
    if not verb:
        raise ValueError("verb is empty; expected the name of what makes the piece")
    if device not in ("cpu", "cuda"):
        raise ValueError(f"device is {device!r}; expected the class 'cpu' or 'cuda'")
    return digest_json(
        {
            "verb": verb,
            "parameters": parameters,
            "inputs": inputs,
            "code": code,
            "libraries": library_versions() if libraries is None else libraries,
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "dtype": dtype,
            "device": device,
        }
    )


@dataclass(frozen=True)
class Piece:
    """A whole piece: its files lie in ``folder``, its numbers in the manifest."""

    key: str
    folder: Path
    manifest: dict[str, Any]

    def file(self, name: str) -> Path:
        """The path of one of the piece's files. Raises ``ValueError`` if there is none."""
        if name not in self.manifest["files"]:
            there = ", ".join(self.manifest["files"]) or "none"
            raise ValueError(f"piece {self.key} has no file {name!r}; it has: {there}")
        return self.folder / name

    @property
    def values(self) -> dict[str, Any]:
        """The small JSON values that ``build`` returned."""
        values: dict[str, Any] = self.manifest["values"]
        return values


class Store:
    """Pieces under ``root/pieces``, one kernel lock per key under ``root/locks``.

    A piece is built in a temporary folder, its manifest written last, and renamed into place: it
    is there as a whole or not at all.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def find(self, key: str, *, on_damage: Report | None = None) -> Piece | None:
        """The piece, after each of its files was verified against the manifest; None if missing.

        A damaged piece is told to ``on_damage`` (the log by default) in one line with the key,
        the file and both digests; it is removed and counts as missing. Never waits: a damaged
        piece that somebody is making anew is simply missing.
        """
        folder = self._folder(key)
        if not folder.is_dir():
            return None
        manifest, _ = verify(key, folder)
        if manifest is not None:
            return Piece(key, folder, manifest)
        try:
            with self._lock(key, "find", wait=False):
                return self._find_held(key, on_damage)
        except HeldError:
            return None

    def make(
        self,
        key: str,
        build: Build,
        *,
        verb: str,
        parameters: Mapping[str, Any] | None = None,
        on_wait: Report | None = None,
        on_damage: Report | None = None,
    ) -> tuple[Piece, bool]:
        """The piece, and whether it had to be made.

        ``build`` gets an empty folder, writes files there and returns small JSON values. Who asks
        for a key while another process makes it waits (``on_wait`` is told once) and finds it.
        Nothing is left if ``build`` raises.
        """
        piece = self.find(key, on_damage=on_damage)
        if piece is not None:
            return piece, False
        with self._lock(key, verb, on_wait=on_wait):
            piece = self._find_held(key, on_damage)
            if piece is not None:
                return piece, False
            return self._build(key, build, verb, parameters), True

    def replace(
        self,
        key: str,
        build: Build,
        *,
        verb: str,
        parameters: Mapping[str, Any] | None = None,
        on_wait: Report | None = None,
    ) -> Piece:
        """Make the piece anew and swap it for the old one, for what moves on under one key."""
        with self._lock(key, verb, on_wait=on_wait):
            return self._build(key, build, verb, parameters)

    def remove(self, key: str) -> None:
        """Remove the piece if it is there; waits for whoever makes it."""
        with self._lock(key, "remove"):
            discard(self._folder(key))

    def pieces(self) -> Iterator[Piece]:
        """All pieces, unverified; one whose manifest is broken is left to ``check``."""
        for folder in self._folders():
            manifest, _ = read_manifest(folder.name, folder)
            if manifest is not None:
                yield Piece(folder.name, folder, manifest)

    def check(self) -> list[str]:
        """Verify every piece; one line for each that is damaged. Nothing is removed."""
        lines = []
        for folder in self._folders():
            _, damage = verify(folder.name, folder)
            if damage is not None:  # look again: it may have been swapped while it was read
                _, damage = verify(folder.name, folder)
            if damage is not None and folder.is_dir():
                lines.append(f"piece {folder.name}: {damage}")
        return lines

    def size(self) -> int:
        """Bytes in the store."""
        return tree_size(self.root)

    def gc(self, keep: Collection[str]) -> tuple[int, int]:
        """Remove the pieces that are not in ``keep``; return how many, and the bytes freed.

        What dead processes left half-written goes too. A piece whose lock is held stays.
        """
        kept = frozenset(keep)
        count = freed = 0
        for folder in [folder for folder in self._folders() if folder.name not in kept]:
            with suppress(HeldError), self._lock(folder.name, "gc", wait=False):
                freed += tree_size(folder)
                count += folder.is_dir()
                discard(folder)
        for shard in sorted((self.root / "pieces").glob("*")):
            freed += remove_stale(shard)[1]
        for lock in sorted((self.root / "locks").glob(f"{_KEY_GLOB}.lock")):
            if not self._folder(lock.stem).is_dir():
                with suppress(HeldError), self._lock(lock.stem, "gc", wait=False):
                    lock.unlink()  # whoever holds a lock may remove it: see locks.hold
        return count, freed

    def _folder(self, key: str) -> Path:
        if len(key) != DIGEST_LENGTH or not set(key) <= set("0123456789abcdef"):
            raise ValueError(f"key is {key!r}; expected {DIGEST_LENGTH} hex characters")
        return self.root / "pieces" / key[:2] / key

    def _folders(self) -> list[Path]:
        return sorted((self.root / "pieces").glob(f"??/{_KEY_GLOB}"))

    def _lock(
        self, key: str, holder: str, *, wait: bool = True, on_wait: Report | None = None
    ) -> AbstractContextManager[None]:
        self._folder(key)  # refuses what is no key
        path = self.root / "locks" / f"{key}.lock"
        return hold(path, holder, wait=wait, on_wait=on_wait, what=f"piece {key[:8]}..")

    def _find_held(self, key: str, on_damage: Report | None) -> Piece | None:
        folder = self._folder(key)
        if not folder.is_dir():
            return None
        manifest, damage = verify(key, folder)
        if manifest is not None:
            return Piece(key, folder, manifest)
        report = _log.warning if on_damage is None else on_damage
        report(f"piece {key}: {damage}; it is removed and counts as missing")
        discard(folder)
        return None

    def _build(
        self, key: str, build: Build, verb: str, parameters: Mapping[str, Any] | None
    ) -> Piece:
        folder = self._folder(key)
        with replacing(folder) as temporary:
            temporary.mkdir()
            values = build(temporary)
            about = {"key": key, "verb": verb, "parameters": parameters or {}}
            write_manifest(temporary, {**about, "values": values or {}})
        # Read back, so that who made a piece and who finds it hold the same values.
        manifest, damage = read_manifest(key, folder)
        if manifest is None:
            raise OSError(f"piece {key}, just written: {damage}")
        return Piece(key, folder, manifest)

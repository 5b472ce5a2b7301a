"""A reader of files that come from elsewhere, and a small sound input that is then mutated."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz.mutations import mutated_bytes, mutated_json, mutated_yaml

__all__ = ["Reader"]

Strategy = st.SearchStrategy[bytes]


@dataclass(frozen=True)
class Reader:
    """``prepare(folder)`` writes a sound input, ``file`` in it is mutated, ``read(folder)`` reads.

    ``after(folder)`` brings what belongs to the file, such as its digest, up to date.
    """

    prepare: Callable[[Path], None]
    file: str
    read: Callable[[Path], object]
    kind: str = "bytes"
    after: Callable[[Path], None] = lambda folder: None

    def inputs(self, folder: Path) -> Strategy:
        sound = (folder / self.file).read_bytes()
        if self.kind == "json":
            return mutated_json(json.loads(sound))
        if self.kind == "yaml":
            return mutated_yaml(sound.decode())
        return mutated_bytes(sound)

    def place(self, folder: Path, data: bytes) -> None:
        (folder / self.file).write_bytes(data)
        self.after(folder)

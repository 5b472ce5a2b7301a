"""What an injection came to: a row of the table of reliability."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from geocore.runs.atomic import write_json

__all__ = ["BOOK", "Book", "Row", "generic", "read_rows", "record"]


@dataclass(frozen=True)
class Row:
    """A fault, where it struck, how often; what it cost, and what the user was told.

    ``lost`` counts finished pieces and parts that were made again or are gone, ``wrong`` runs that
    ended well with other bytes than a run without trouble, ``unclear`` runs that ended otherwise
    than well or with a line that tells a user what to do. ``redone`` are the seconds of work that
    were done twice: they differ from run to run and stay out of the page.
    """

    fault: str
    stage: str
    tries: int
    lost: int = 0
    wrong: int = 0
    unclear: int = 0
    message: str = ""
    redone: float = 0.0

    @property
    def survived(self) -> bool:
        return self.tries > 0 and self.lost == self.wrong == self.unclear == 0


class Book:
    """The rows of this session; in a file each as well, once a ``folder`` is named.

    The suite as a whole names one (``tests.faults.whole``); any other run keeps nothing.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.rows: list[Row] = []

    def record(self, row: Row) -> Row:
        """Keep the row, in the place of an older one of the same fault and stage."""
        self.rows.append(row)
        if self.folder is not None:
            name = "-".join("".join(c if c.isalnum() else " " for c in row.fault).split())
            write_json(self.folder / f"{name}.{row.stage}.json", dataclasses.asdict(row))
        return row


BOOK = Book()
record = BOOK.record


def read_rows(folder: Path) -> Iterator[Row]:
    """The rows that are kept, by fault and stage."""
    files = (path for path in folder.glob("*.*.json"))  # run.json is no row
    found = [Row(**json.loads(path.read_bytes())) for path in files]
    yield from sorted(found, key=lambda row: (row.fault, row.stage))


def generic(message: str) -> str:
    """The message without what differs from run to run: keys, paths, sizes."""
    words = []
    for word in message.split(" "):
        inner = word.strip("();:,")
        if "/" in inner:
            word = word.replace(inner, "PATH")
        elif len(inner) == 32 and set(inner) <= set("0123456789abcdef"):
            word = word.replace(inner, "KEY")
        elif re.fullmatch(r"[\d.e+-]*\d", inner):
            word = word.replace(inner, "N")
        words.append(word)
    return " ".join(words)

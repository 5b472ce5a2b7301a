"""What stands on paper: the text of a PDF as Chromium writes it, where it stands, its headings."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Heading", "Paper", "Word", "squeezed"]

_OBJECT = re.compile(rb"(?:^|\n)(\d+) 0 obj\s(.*?)\nendobj", re.DOTALL)
_NUMBER = r"[-+]?\d*\.?\d+"
_MATRIX = rf"((?:{_NUMBER} ){{6}})"
_DRAWN = re.compile(
    rf"(?P<push>\bq\n)|(?P<pop>\bQ\n)|{_MATRIX}(?P<turn>cm|Tm)|/(?P<font>\w+) {_NUMBER} Tf|"
    r"(?P<shown><[0-9A-Fa-f]+> Tj|\[[^\]]*\] TJ)"
)
_HEADING = re.compile(
    rb"/Title \((?P<title>.*?)\)\n/Dest \[(?P<page>\d+) 0 R /XYZ [-\d.]+ (?P<up>[-\d.]+)"
)

_TALL = 28  # points that a heading takes at most

Matrix = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Word:
    """A piece of text: its page from 0, how far it begins from the left and the lower edge."""

    page: int
    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Heading:
    """A heading of the outline: its page from 0 and how far its top is from the lower edge."""

    page: int
    y: float
    text: str


class Paper:
    """``words``, ``headings`` and ``pages`` of a PDF with an outline; lengths in points.

    It reads what Chromium's own writer writes, and no other.
    """

    def __init__(self, content: bytes) -> None:
        self._objects = {int(number): body for number, body in _OBJECT.findall(content)}
        pages = [number for number, body in self._objects.items() if b"/Type /Page\n" in body]
        self.pages = len(pages)
        self.headings = [
            Heading(pages.index(int(m["page"])), float(m["up"]), m["title"].decode("latin-1"))
            for body in self._objects.values()
            for m in _HEADING.finditer(body)
        ]
        self.words = [word for place, page in enumerate(pages) for word in self._read(place, page)]

    def text(self, page: int | None = None) -> str:
        """Of a page, or of all of them; without spaces, which a writer may leave out."""
        told = "".join(word.text for word in self.words if page in (None, word.page))
        return squeezed(told)

    def lines_below(self, heading: Heading) -> int:
        """How many lines stand under a heading on its page."""
        here = (word for word in self.words if word.page == heading.page)
        return len({round(word.y) for word in here if word.y < heading.y - _TALL})

    def _read(self, place: int, page: int) -> Iterator[Word]:
        owner = self._objects[page]
        stream = re.search(rb"/Contents (\d+) 0 R", owner)
        assert stream, "a page has a stream of its own"
        drawn = _inflated(self._objects[int(stream[1])]).decode("latin-1")
        yield from self._drawn(place, owner, drawn)

    def _drawn(self, place: int, owner: bytes, stream: str) -> Iterator[Word]:
        fonts = {
            name: self._letters(int(number))
            for name, number in re.findall(rb"/(F\d+) (\d+) 0 R", owner)
        }
        turns: list[Matrix] = [(1, 0, 0, 1, 0, 0)]
        at = turns[0]
        letters: dict[int, str] = {}
        for found in _DRAWN.finditer(stream):
            if found["push"]:
                turns.append(turns[-1])
            elif found["pop"]:
                turns.pop()
            elif found["turn"]:
                given = tuple(map(float, found[3].split()))
                if found["turn"] == "cm":
                    turns[-1] = _times(given, turns[-1])
                else:
                    at = _times(given, turns[-1])
            elif found["font"]:
                letters = fonts.get(found["font"].encode(), {})
            else:
                codes = "".join(re.findall(r"<([0-9A-Fa-f]+)>", found["shown"]))
                glyphs = (int(codes[n : n + 4], 16) for n in range(0, len(codes), 4))
                yield Word(place, at[4], at[5], "".join(letters.get(g, "") for g in glyphs))

    def _letters(self, font: int) -> dict[int, str]:
        """Glyph -> its letters, as the font tells for who copies text."""
        told = re.search(rb"/ToUnicode (\d+) 0 R", self._objects.get(font, b""))
        if not told:
            return {}
        text = _inflated(self._objects[int(told[1])]).decode("latin-1")
        letters: dict[int, str] = {}
        for block in re.findall(r"beginbfchar(.*?)endbfchar", text, re.DOTALL):
            for glyph, letter in re.findall(r"<(\w+)> <(\w+)>", block):
                letters[int(glyph, 16)] = bytes.fromhex(letter).decode("utf-16-be")
        for block in re.findall(r"beginbfrange(.*?)endbfrange", text, re.DOTALL):
            for low, high, letter in re.findall(r"<(\w+)> <(\w+)> <(\w+)>", block):
                for step in range(int(high, 16) - int(low, 16) + 1):
                    letters[int(low, 16) + step] = chr(int(letter, 16) + step)
        return letters


def squeezed(text: str) -> str:
    """Without spaces, and with letters for what a font draws as one."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def _inflated(body: bytes) -> bytes:
    stream = body.split(b"stream\n", 1)[1].rsplit(b"\nendstream", 1)[0]
    return zlib.decompress(stream) if b"/FlateDecode" in body else stream


def _times(one: tuple[float, ...], other: tuple[float, ...]) -> Matrix:
    """What does ``one`` and then ``other`` to a point."""
    a, b, c, d, e, f = one
    p, q, r, s, t, u = other
    return (
        a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s,
        e * p + f * r + t, e * q + f * s + u,
    )  # fmt: skip

"""Pictures on a page: alike ones once, and none that makes it too heavy."""

from __future__ import annotations

import base64

import pytest

from geocore.report import pictures as module
from geocore.report.pictures import gallery
from geocore.report.snapshot import Snapshot, md5_of
from tests.report.scene import png


def of(name: str, pictures: dict[str, bytes], unread: dict[str, str] | None = None) -> Snapshot:
    return Snapshot(name, "run", pictures=pictures, unread={} if unread is None else unread)


def test_alike_ones_stand_once_and_the_differing_first() -> None:
    a = {"evaluate/pictures/same_one.png": png(1), "evaluate/pictures/z.png": png(2)}
    b = {"evaluate/pictures/same_one.png": png(1), "evaluate/pictures/z.png": png(3)}
    figures, left_out = gallery(
        [of("a", a), of("b", b), of("c", {"evaluate/pictures/z.png": png(2)})]
    )
    assert left_out == 0
    assert [(figure.words, figure.differs) for figure in figures] == [
        ("evaluate: z", True),
        ("evaluate: same one", False),
    ]
    z, same = figures
    assert [picture.owners for picture in z.pictures] == [("a", "c"), ("b",)]
    assert same.absent == ("c",)
    source = z.pictures[0].source
    assert base64.b64decode(source.removeprefix("data:image/png;base64,")) == png(2)
    assert (z.pictures[0].width, z.pictures[0].height) == (2, 2)


def test_what_is_too_heavy_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BUDGET", len(png(1)))
    figures, left_out = gallery([of("a", {"a.png": png(1), "b.png": png(2)})])
    assert left_out == 1
    assert [bool(figure.pictures[0].source) for figure in figures] == [True, False]


def test_what_is_not_recorded_is_not_called_missing() -> None:
    here = of("here", {"x.png": png(1)})
    known = of("known", {}, {"x.png": md5_of(png(1))})
    other = of("other", {}, {"x.png": md5_of(png(2))})
    silent = Snapshot("silent", "run", unread=None)
    ((figure,), _) = gallery([of("bare", {}), known, other, silent, here])
    assert [picture.owners for picture in figure.pictures] == [("known", "here")]
    assert figure.absent == ("bare",)
    assert figure.unknown == ("other", "silent")

"""Canvases: items where the boxes say, of their own split, the same however they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocore.config.data import DataParams
from geocore.data.sources.base import Images, Source
from geocore.data.sources.canvas import Canvas
from geocore.data.sources.digits import Digits
from geocore.data.sources.opening import open_source
from geocore.data.split import make_split
from geocore.errors import UserError

ITEMS = Digits()
PARTS = make_split(
    ITEMS.labels, None, val_fraction=0.15, test_fraction=0.2, seed=0, classes=ITEMS.classes
)
LEVELS: Images = next(ITEMS.images(np.arange(len(ITEMS)), len(ITEMS)))


def canvas(**changes: Any) -> Canvas:
    base: dict[str, Any] = {
        "items": ITEMS, "parts": PARTS, "counts": (40, 10, 20), "size": (30, 36),
        "number": (1, 4), "side": None, "seed": 0,
    }  # fmt: skip
    return Canvas(**{**base, **changes})


def whole(source: Canvas, rows: np.ndarray | None = None) -> dict[str, np.ndarray]:
    rows = np.arange(len(source)) if rows is None else rows
    (columns,) = source.pieces(rows, len(rows))
    return columns


def test_what_it_says_of_itself() -> None:
    source = canvas()
    assert (source.name, source.shape, len(source)) == ("canvas", (30, 36, 1), 70)
    assert source.classes == ("background", *"0123456789")
    assert source.official == {"train": 40, "val": 10, "test": 20}
    columns = whole(source)
    assert {name: (value.shape, str(value.dtype)) for name, value in columns.items()} == {
        "image": ((70, 30, 36, 1), "uint8"),
        "label": ((70, 30, 36), "uint8"),
    }
    assert source.known(np.arange(3)) == {} and source.camera is None


@pytest.mark.parametrize("side", [None, 12])
def test_each_item_lies_in_its_frame_and_nothing_beside_it(side: int | None) -> None:
    """And it is one of its own split: found again, level by level, where it was not resized."""
    source = canvas(side=side)
    columns, boxes = whole(source), source.boxes(np.arange(len(source)))
    known, splits = (
        {image.tobytes(): row for row, image in enumerate(LEVELS)},
        np.asarray(source.splits),
    )
    for n in range(len(source)):
        image, label = columns["image"][n, ..., 0].copy(), columns["label"][n].copy()
        count = int((boxes.label[n] > 0).sum())
        assert (
            1 <= count <= 4 and not boxes.frame[n, count:].any() and not boxes.box[n, count:].any()
        )
        for value, box, frame in zip(*(part[n, :count] for part in boxes), strict=True):
            top, left, bottom, right = frame
            assert bottom - top == right - left == (side or 8)
            item = image[top:bottom, left:right].copy()
            if side is None:
                row = known[item.tobytes()]
                assert ITEMS.labels[row] + 1 == value and PARTS[row] == splits[n]
            expected = np.where(item > item.max() / 4, value, 0)
            np.testing.assert_array_equal(label[top:bottom, left:right], expected)
            rows, places = (np.flatnonzero((expected > 0).any(axis=axis)) for axis in (1, 0))
            assert (box - np.tile([top, left], 2)).tolist() == [
                rows[0], places[0], rows[-1] + 1, places[-1] + 1,
            ]  # fmt: skip
            assert image[top:bottom, left:right].any(), "no item was there before"
            image[top:bottom, left:right] = label[top:bottom, left:right] = 0
        assert not image.any() and not label.any()


def test_numbers_and_items_are_equally_likely() -> None:
    source = canvas(counts=(3000, 1, 1), size=(20, 20))
    boxes = source.boxes(np.arange(3000))
    counts = np.bincount((boxes.label > 0).sum(axis=1), minlength=5)
    assert counts[0] == 0 and (np.abs(counts[1:] - 750) < 5 * np.sqrt(750)).all()
    shares = np.bincount(ITEMS.labels[PARTS == 0]) / (PARTS == 0).sum()
    found = np.bincount(boxes.label[boxes.label > 0] - 1)
    expected = shares * found.sum()
    assert (np.abs(found - expected) < 5 * np.sqrt(expected)).all()


def test_a_canvas_is_the_same_wherever_it_is_drawn() -> None:
    source = canvas()
    columns = whole(source)
    rows = np.array([3, 12, 41, 69])
    some = whole(source, rows)
    parted = list(source.pieces(rows, 3))
    larger = canvas(counts=(50, 11, 20))
    moved = np.where(rows < 40, rows, np.where(rows < 50, rows + 10, rows + 11))
    others = whole(larger, moved)
    for name, values in columns.items():
        np.testing.assert_array_equal(some[name], values[rows])
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parted]), some[name])
        np.testing.assert_array_equal(others[name], values[rows])
    boxes, few = source.boxes(np.arange(70)), source.boxes(rows)
    for all_of_them, these in zip(boxes, few, strict=True):
        np.testing.assert_array_equal(all_of_them[rows], these)
    assert not (columns["image"][:10] == columns["image"][40:50]).all(axis=(1, 2, 3)).any()
    other = whole(canvas(seed=1))
    assert not (columns["image"] == other["image"]).all(axis=(1, 2, 3)).any()


def test_the_digest_tells_sources_apart() -> None:
    swapped = PARTS.copy()
    swapped[:2] = 2 - swapped[:2]
    others = [
        canvas(counts=(41, 10, 20)), canvas(size=(30, 37)), canvas(number=(1, 3)),
        canvas(side=9), canvas(seed=1), canvas(parts=swapped),
    ]  # fmt: skip
    assert canvas().digest == canvas().digest == canvas(side=8).digest
    assert len({canvas().digest, *(other.digest for other in others)}) == 7


class _Dark(Source):
    """Two items: one with no light at all, one with the least."""

    name, classes, shape, splits, digest = "dark", ("a",), (4, 4, 1), None, "dark"
    labels = np.zeros(2, np.int64)

    def images(self, rows: np.ndarray, size: int) -> Any:
        pictures = np.zeros((2, 4, 4, 1), np.uint8)
        pictures[1, 1, 2] = 1
        return iter([pictures[rows]])


def test_a_dark_item_is_seen_and_one_without_light_keeps_its_frame() -> None:
    parts = np.array([0, 2], np.uint8)
    source = canvas(items=_Dark(), parts=parts, counts=(1, 0, 1), size=(4, 4), number=(1, 1))
    boxes = source.boxes(np.arange(2))
    assert boxes.label.tolist() == [[1], [1]]
    assert boxes.box.tolist() == [[[0, 0, 4, 4]], [[1, 2, 2, 3]]]
    labels = whole(source)["label"]
    assert not labels[0].any() and np.argwhere(labels[1]).tolist() == [[1, 2]]


def test_too_many_or_too_large_items_are_refused() -> None:
    with pytest.raises(UserError) as caught:
        canvas(side=16)
    assert caught.value.lines == (
        "data.items is [1, 4] of 16 x 16 pixels, and a canvas of 36 x 30 holds 2; "
        "expected fewer or smaller ones",
    )
    with pytest.raises(ValueError, match=r"number is \(3, 2\); expected 1 <= least <= most <= 100"):
        canvas(number=(3, 2))


def test_the_source_that_the_parameters_name() -> None:
    params = DataParams(
        source="canvas", path=None, image_size=None, height=30, width=36, scenes=None, jitter=None,
        tilt=None, camera=None, canvases=(40, 10, 20), items_of="digits", items=(1, 4),
        item_size=None, limit=None, val_fraction=0.15, test_fraction=0.2, seed=0,
    )  # fmt: skip
    source = open_source(params, Path("nowhere"), None)
    assert isinstance(source, Canvas) and source.digest == canvas().digest

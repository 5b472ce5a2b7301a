"""``data``: keys that belong to one source are refused for the others, each in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from geocore.config.data import DENSE_SOURCES, DataParams, MergedParams
from geocore.config.load import tracked_leaves, validate
from geocore.errors import UserError

DIGITS: dict[str, Any] = {
    "source": "digits", "path": None, "image_size": None, "height": None, "width": None,
    "scenes": None, "jitter": None, "tilt": None, "camera": None, "limit": None,
    "canvases": None, "items_of": None, "items": None, "item_size": None,
    "val_fraction": 0.15, "test_fraction": 0.2, "seed": 0,
}  # fmt: skip
SCENES = DIGITS | {
    "source": "scenes", "height": 60, "width": 80, "scenes": [4, 2, 2], "jitter": 2.0,
    "tilt": 45.0,
}  # fmt: skip
WOODSCAPE = DIGITS | {"source": "woodscape", "camera": "RV", "path": "data/own/drive"}
CAMVID = DIGITS | {"source": "camvid", "height": 60, "width": 80, "limit": 20}
CANVAS = DIGITS | {
    "source": "canvas", "height": 60, "width": 80, "canvases": [4, 2, 2], "items_of": "digits",
    "items": [1, 3],
}  # fmt: skip
SVHN = DIGITS | {"source": "svhn", "limit": 20}
STREET = DIGITS | {"source": "street_digits", "canvases": [4, 2, 2], "items_of": "digits"}
CITYSCAPES = DIGITS | {"source": "cityscapes", "height": 76, "width": 120, "path": "data/own/c"}
PINHOLE = SCENES | {"camera": "pinhole", "tilt": None}
DIGITS_KEYS = DataParams.model_fields


def refused(base: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        validate(base | changes, DataParams, "params.yaml")
    (line,) = caught.value.lines
    return line


@pytest.mark.parametrize(
    "good", [DIGITS, SCENES, PINHOLE, WOODSCAPE, CAMVID, CITYSCAPES, CANVAS, SVHN, STREET]
)
def test_good_ones_pass(good: dict[str, Any]) -> None:
    params = validate(good, DataParams, "params.yaml")
    assert isinstance(params, DataParams)
    assert params.dense == (params.source in DENSE_SOURCES)


@pytest.mark.parametrize(
    ("base", "key", "value"),
    [
        (DIGITS, "height", 60), (DIGITS, "width", 80), (DIGITS, "scenes", [4, 2, 2]),
        (DIGITS, "jitter", 2.0), (DIGITS, "tilt", 45.0), (DIGITS, "camera", "FV"),
        (SCENES, "image_size", 16), (SCENES, "limit", 20), (SCENES, "path", "data/own/drive"),
        (DIGITS, "camera", "pinhole"), (WOODSCAPE, "scenes", [4, 2, 2]), (WOODSCAPE, "tilt", 45.0),
        (WOODSCAPE, "image_size", 16), (CAMVID, "camera", "FV"), (CAMVID, "jitter", 2.0),
        (DIGITS, "canvases", [4, 2, 2]), (CAMVID, "items_of", "mnist"), (SCENES, "items", [1, 2]),
        (WOODSCAPE, "item_size", 20), (CANVAS, "scenes", [4, 2, 2]), (CANVAS, "limit", 20),
        (CANVAS, "path", "data/own"), (CANVAS, "image_size", 16), (CANVAS, "tilt", 4.0),
        (SVHN, "path", "data/own"), (SVHN, "height", 32), (SVHN, "canvases", [4, 2, 2]),
        (STREET, "limit", 20), (STREET, "path", "data/own"), (STREET, "items", [1, 2]),
        (STREET, "item_size", 16), (STREET, "height", 32), (CITYSCAPES, "camera", "FV"),
        (CITYSCAPES, "image_size", 32),
    ],
)  # fmt: skip
def test_a_key_of_another_source(base: dict[str, Any], key: str, value: Any) -> None:
    assert refused(base, **{key: value}) == (
        f"params.yaml: data.{key} is {json.dumps(value)}; expected null for source {base['source']}"
    )


@pytest.mark.parametrize("key", ["scenes", "height", "width", "jitter", "tilt"])
def test_a_key_that_scenes_need(key: str) -> None:
    assert refused(SCENES, **{key: None}) == (
        f"params.yaml: data.{key} is null; expected a value for source scenes"
    )


def test_woodscape_needs_a_camera() -> None:
    assert refused(WOODSCAPE, camera=None) == (
        "params.yaml: data.camera is null; expected a value for source woodscape"
    )
    assert refused(WOODSCAPE, camera="BEV") == (
        'params.yaml: data.camera is "BEV"; expected one of FV, RV, MVL, MVR, pinhole or null'
    )
    assert refused(WOODSCAPE, camera="pinhole") == (
        'params.yaml: data.camera is "pinhole"; expected FV or RV or MVL or MVR for source '
        "woodscape"
    )


def test_scenes_through_a_pinhole_have_no_tilt() -> None:
    assert refused(PINHOLE, tilt=30.0) == (
        "params.yaml: data.tilt is 30.0; expected null for source scenes through a pinhole"
    )
    assert refused(SCENES, camera="FV") == (
        'params.yaml: data.camera is "FV"; expected null or pinhole for source scenes'
    )
    assert refused(PINHOLE, jitter=None) == (
        "params.yaml: data.jitter is null; expected a value for source scenes"
    )


@pytest.mark.parametrize("key", ["canvases", "items_of"])
def test_a_key_that_street_digits_need(key: str) -> None:
    assert refused(STREET, **{key: None}) == (
        f"params.yaml: data.{key} is null; expected a value for source street_digits"
    )


@pytest.mark.parametrize("base", [SCENES, PINHOLE, WOODSCAPE, CAMVID, CITYSCAPES])
@pytest.mark.parametrize("classes", ["all", "road"])
def test_road_scenes_may_have_their_classes_merged(base: dict[str, Any], classes: str) -> None:
    plain = validate(base, DataParams, "params.yaml")
    merged = validate(base | {"classes": classes}, DataParams, "params.yaml")
    assert isinstance(merged, MergedParams) and merged.classes == classes
    assert not isinstance(plain, MergedParams)
    # A study without the key tracks the same keys as ever.
    leaves = tracked_leaves(DataParams)
    assert tracked_leaves(type(plain)) == leaves == [f"data.{key}" for key in DIGITS_KEYS]
    assert tracked_leaves(type(merged)) == [*leaves, "data.classes"]


@pytest.mark.parametrize("base", [DIGITS, SVHN, STREET, CANVAS])
def test_other_classes_stay_apart(base: dict[str, Any]) -> None:
    assert refused(base, classes="road") == (
        f'params.yaml: data.classes is "road"; expected no such key for source {base["source"]}'
    )
    assert refused(CAMVID, classes="four") == (
        'params.yaml: data.classes is "four"; expected one of all, road'
    )
    assert refused(CAMVID, classes=None) == (
        "params.yaml: data.classes is null; expected one of all, road"
    )


def test_a_size_has_two_sides() -> None:
    assert refused(CAMVID, width=None) == (
        "params.yaml: data.height is 60 and data.width null; expected both or neither"
    )


@pytest.mark.parametrize("counts", [[4, 2], [4, 2, 1, 1], []])
def test_scenes_are_counted_for_each_split(counts: list[int]) -> None:
    assert refused(SCENES, scenes=counts) == (
        f"params.yaml: data.scenes is {counts}; "
        "expected null or a list of three integers from 1 to 1000000: train, val, test"
    )


@pytest.mark.parametrize("count", [0, 10**6 + 1])
def test_the_count_that_is_wrong_is_named(count: int) -> None:
    assert refused(SCENES, scenes=[4, count, 2]) == (
        f"params.yaml: data.scenes[1] is {count}; "
        "expected an integer at least 1 and at most 1000000"
    )
    assert refused(CANVAS, items=[1, count]) == (
        f"params.yaml: data.items[1] is {count}; expected an integer at least 1 and at most 100"
    )


@pytest.mark.parametrize("key", ["canvases", "height", "width", "items_of", "items"])
def test_a_key_that_a_canvas_needs(key: str) -> None:
    assert refused(CANVAS, **{key: None}) == (
        f"params.yaml: data.{key} is null; expected a value for source canvas"
    )


@pytest.mark.parametrize("items", [[1], [3, 2], [1, 2, 3], []])
def test_items_have_a_least_and_a_most(items: list[int]) -> None:
    assert refused(CANVAS, items=items) == (
        f"params.yaml: data.items is {items}; "
        "expected null or a list of two integers from 1 to 100: least, most"
    )

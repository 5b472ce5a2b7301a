"""Types meet or differ in words; metadata come back equal or not at all."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from geocore.data.tabletype import Camera, TableInfo, TableType
from geocore.errors import UserError

NESTED = TableType(
    grid="healpix",
    nside=4,
    ordering="nested",
    faces=(0, 4, 8),
    channels=2,
    dtype="float32",
    label_kind="mask",
)
INFO = TableInfo(NESTED, "mnist", ("0", "1"), Camera("gnomonic", 90.0, "so3"), 255.0)

LENS = {"model": "radial_poly", "k": [339.7, -31.9], "height": 4}
DENSE = TableInfo(
    NESTED, "scenes", ("0",), Camera("source", None, "none", LENS, True), views=("upright",)
)


def test_shapes_and_pixels() -> None:
    assert NESTED.pixels == 3 * 16
    assert NESTED.shape == (48, 2)
    planar = TableType(grid="planar", height=5, width=7, channels=3)
    assert (planar.pixels, planar.shape) == (35, (5, 7, 3))
    assert TableType(grid="driscoll-healy", height=8, width=8, channels=1).shape == (8, 8, 1)


@pytest.mark.parametrize("lacking", ["nside", "faces", "channels", "grid"])
def test_an_open_geometry_has_no_shape(lacking: str) -> None:
    with pytest.raises(ValueError, match=r"open; expected a complete geometry"):
        _ = dataclasses.replace(NESTED, **{lacking: None}).shape


def test_mismatches_name_what_was_found_and_expected() -> None:
    wanted = TableType(grid="healpix", ordering="nested", faces=(0, 1), nside=8)
    ring = dataclasses.replace(NESTED, ordering="ring")
    assert ring.mismatches(wanted) == [
        "nside is 4; expected 8",
        "ordering is ring; expected nested",
        "faces is [0, 4, 8]; expected [0, 1]",
    ]
    assert NESTED.mismatches(NESTED) == []
    assert NESTED.mismatches(TableType()) == []
    assert TableType().mismatches(NESTED) == [], "what is open may still become what is wanted"


@pytest.mark.parametrize("info", [INFO, DENSE, TableInfo(TableType(grid="planar"), "own")])
def test_json_round_trip(info: TableInfo) -> None:
    text = json.dumps(info.to_json(), sort_keys=True)
    assert TableInfo.from_json(json.loads(text), "here") == info
    assert text == json.dumps(dataclasses.replace(info).to_json(), sort_keys=True)


def test_what_only_dense_tables_have_is_left_out_of_others() -> None:
    """So the bytes of a table with a class a sample are what they were before there were masks."""
    assert json.dumps(INFO.to_json()["camera"]) == (
        '{"projection": "gnomonic", "angle_of_view": 90.0, "rotation": "so3"}'
    )
    assert list(INFO.to_json()) == [
        "version", "type", "source", "classes", "camera", "normaliser",
    ]  # fmt: skip
    assert DENSE.to_json()["camera"] == {
        "projection": "source", "angle_of_view": None, "rotation": "none", "model": LENS,
        "posed": True,
    }  # fmt: skip
    assert DENSE.to_json()["views"] == ("upright",)


def test_samples_lie_alike_without_rotations_and_poses() -> None:
    assert Camera("gnomonic", 90.0, "none").alike
    assert not Camera("gnomonic", 90.0, "z").alike
    assert not Camera("source", None, "none", LENS, True).alike


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"version": 2}, "here: table version is 2; expected 1"),
        ({"source": 3}, "here: metadata source is 3; expected what geocore writes"),
        ({"classes": "ab"}, 'here: metadata classes is "ab"; expected what geocore writes'),
        (
            {"type": {"nside": "4"}},
            'here: metadata type.nside is "4"; expected what geocore writes',
        ),
        ({"type": {"size": 4}}, "here: metadata type.size is 4; expected what geocore writes"),
        (
            {"camera": {"projection": "fisheye", "angle_of_view": 1.0, "rotation": "z"}},
            'here: metadata camera.projection is "fisheye"; expected what geocore writes',
        ),
        ({"views": "ab"}, 'here: metadata views is "ab"; expected what geocore writes'),
        (
            {"camera": {**DENSE.to_json()["camera"], "model": "lens"}},
            'here: metadata camera.model is "lens"; expected what geocore writes',
        ),
        (
            {"camera": {}},
            "here: metadata camera.projection is missing; expected what geocore writes",
        ),
    ],
)
def test_altered_metadata_are_refused_in_a_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        TableInfo.from_json({**INFO.to_json(), **change}, "here")
    assert caught.value.lines == (line,)


@pytest.mark.parametrize("value", [None, [], "text", {"a": 1}])
def test_other_json_is_no_metadata(value: object) -> None:
    with pytest.raises(UserError) as caught:
        TableInfo.from_json(value, "here")
    found = json.dumps(value)
    assert str(caught.value) == f"here: metadata is {found}; expected what geocore writes"

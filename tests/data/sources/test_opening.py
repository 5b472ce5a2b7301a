"""Which source ``data`` names, where it is looked for, and the digits that need no looking for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geocore.config.data import DataParams
from geocore.data.sources.digits import Digits
from geocore.data.sources.home import data_home, locate
from geocore.data.sources.opening import open_source
from geocore.errors import UserError


def params(**changes: Any) -> DataParams:
    values: dict[str, Any] = {
        "source": "digits", "path": None, "image_size": None, "limit": None,
        "val_fraction": 0.15, "test_fraction": 0.2, "seed": 0,
    }  # fmt: skip
    return DataParams(**{**values, **changes})


def test_the_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    source = open_source(params(), Path("nowhere"), None)
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
    plain = open_source(params(), Path("nowhere"), None)
    source = open_source(params(image_size=16), Path("nowhere"), None)
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
    assert next(open_source(about, root, home).images(np.arange(1), 1)).max() == 10
    (root / "data" / "own").rename(root / "away")
    assert next(open_source(about, root, home).images(np.arange(1), 1)).max() == 20
    absolute = params(source="image_folder", path=str(root / "away"))
    assert next(open_source(absolute, root, None).images(np.arange(1), 1)).max() == 10


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

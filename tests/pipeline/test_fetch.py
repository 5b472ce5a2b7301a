"""``fetch``: sources become tables, once and the same however they are cut up."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geocore.config.data import DataParams
from geocore.config.load import read_sections
from geocore.data import table as table_module
from geocore.data.sources import decode as sources_decode
from geocore.data.sources import fashion_mnist, mnist
from geocore.data.sources.idx import IdxDataset
from geocore.data.table import Table
from geocore.errors import UserError
from geocore.pipeline.fetch import STAGE
from geocore.pipeline.progress import Progress
from geocore.pipeline.stage import Job
from geocore.runs.store import Store

ROOT = Path(__file__).parents[2]
DEFAULTS: dict[str, Any] = {
    "source": "digits", "path": None, "image_size": None, "limit": None, "height": None,
    "width": None, "scenes": None, "jitter": None, "tilt": None, "camera": None,
    "canvases": None, "items_of": None, "items": None, "item_size": None,
    "val_fraction": 0.15, "test_fraction": 0.2, "seed": 0,
}  # fmt: skip


GIVEN = os.environ.get("GEOCORE_DATA")  # before a test sets its own


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEOCORE_DATA", str(tmp_path / "home"))
    return tmp_path / "home"


def job_of(root: Path, **changes: Any) -> Job:
    return Job(
        stage=STAGE,
        root=root,
        sections={"data": DataParams(**{**DEFAULTS, **changes})},
        values={},
        inputs={},
        store=Store(root / "store"),
        work=root / "work",
        key="key",
        code="code",
        progress=Progress(False),
    )


def fetch(root: Path, **changes: Any) -> tuple[dict[str, Any], Table]:
    """The manifest and the table; what the stage declares beforehand must hold for it."""
    job = job_of(root, **changes)
    manifest = STAGE.make(job)
    STAGE.write(job, manifest)
    declared = STAGE.gives["raw"].type
    assert declared is not None
    assert STAGE.whole is not None
    assert STAGE.whole(job, manifest)
    assert json.loads(json.dumps(manifest)) == manifest
    return manifest["raw"], Table.open(root / "data" / "raw", declared(job.sections), verify=True)


def refused(root: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        fetch(root, **changes)
    assert len(caught.value.lines) == 1
    assert not (root / "data" / "raw").exists()
    return str(caught.value)


def save_folder(folder: Path, classes: str = "ab", each: int = 6, side: int = 4) -> Path:
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(each):
            pixels = rng.integers(0, 256, (side, side), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def save_idx(folder: Path, train: int = 300, test: int = 50) -> None:
    """MNIST's four files with other content."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", train), ("t10k", test)):
        images = rng.integers(0, 256, (count, 28, 28), np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, values in (
            (f"{part}-images-idx3-ubyte", images),
            (f"{part}-labels-idx1-ubyte", labels),
        ):
            head = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
            (folder / f"{name}.gz").write_bytes(gzip.compress(head + values.tobytes()))


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST without checksums, and without mirrors that answer."""
    about = IdxDataset("mnist", mnist.MNIST.classes, 28, {}, ("http://127.0.0.1:9/",))
    monkeypatch.setattr(mnist, "MNIST", about)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_the_digits(tmp_path: Path) -> None:
    about, table = fetch(tmp_path)
    assert about["rows"] == len(table) == 1797
    assert about["splits"] == {"train": 1222, "val": 216, "test": 359}
    assert about["classes"] == [str(digit) for digit in range(10)]
    assert table.info.type.shape == (8, 8, 1)
    assert (table.info.source, table.info.classes) == ("digits", tuple("0123456789"))
    assert table.columns == ("sample", "image", "label", "split")
    from sklearn.datasets import load_digits

    known = load_digits()
    assert table.column("sample").tolist() == list(range(1797))
    assert np.array_equal(table.labels().numpy(), known.target)
    assert np.abs(table.images().numpy()[..., 0] / 255 - known.images / 16).max() <= 0.5 / 255


def test_street_digits(tmp_path: Path) -> None:
    about, table = fetch(tmp_path, source="street_digits", items_of="digits", canvases=(50, 20, 30))
    assert about["splits"] == {"train": 50, "val": 20, "test": 30}
    assert table.info.type.shape == (32, 32, 3) and table.info.type.label_kind == "class"
    assert (table.info.source, table.info.classes) == ("street_digits", tuple("0123456789"))
    assert table.columns == ("sample", "image", "label", "split")


def test_svhn_is_declared_before_it_is_there(tmp_path: Path) -> None:
    declared = STAGE.gives["raw"].type
    assert declared is not None
    for source in ("svhn", "svhn_extra", "street_digits"):
        changes = {"items_of": "digits", "canvases": (9, 9, 9)} if source[1] == "t" else {}
        kind = declared(job_of(tmp_path, source=source, **changes).sections)
        assert kind.shape == (32, 32, 3) and kind.label_kind == "class"
    assert declared(job_of(tmp_path, source="svhn", image_size=16).sections).shape == (16, 16, 3)


def test_the_default_source_ships_inside_a_dependency() -> None:
    data = read_sections(ROOT / "params.yaml", STAGE.sections)["data"]
    assert isinstance(data, DataParams)
    assert (data.source, data.path, data.limit) == ("digits", None, None)


def test_equal_parameters_give_equal_bytes(tmp_path: Path) -> None:
    about, _ = fetch(tmp_path / "one")
    again, _ = fetch(tmp_path / "two")
    assert about == again
    for path in (tmp_path / "one" / "data" / "raw").iterdir():
        other = tmp_path / "two" / "data" / "raw" / path.name
        assert path.read_bytes() == other.read_bytes()


def test_seed_and_limit(tmp_path: Path) -> None:
    _, all_of_them = fetch(tmp_path / "all")
    about, table = fetch(tmp_path / "some", limit=100, seed=3)
    assert about["rows"] == 100
    assert np.bincount(table.labels().numpy()).tolist() == [10] * 10
    samples = table.column("sample")
    assert (np.diff(samples) > 0).all()
    assert np.array_equal(table.images().numpy(), all_of_them.images(samples).numpy())
    assert np.array_equal(table.labels().numpy(), all_of_them.labels(samples).numpy())
    other, _ = fetch(tmp_path / "other", limit=100, seed=4)
    assert other["digest"] != about["digest"]


def test_a_limit_that_leaves_too_few_of_a_class(tmp_path: Path) -> None:
    assert refused(tmp_path, limit=20) == (
        "class '0' has 2 samples, and so have 9 other classes; expected at least 3, "
        "one each for train, val, test (data.limit keeps 20 of 1797 samples)"
    )


@pytest.mark.usefixtures("unchecked")
def test_official_splits_and_sizes_of_parts(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_idx(home / "mnist")
    about, table = fetch(tmp_path / "one", source="mnist")
    assert about["splits"] == {"train": 260, "val": 40, "test": 50}  # round(30 * .15) = 4 a class
    assert (table.column("split") == 2).tolist() == [False] * 300 + [True] * 50
    assert len(list((tmp_path / "one" / "data" / "raw").glob("*.arrow"))) == 1
    monkeypatch.setattr(table_module, "_PART_BYTES", 784 * 64)
    _, parted = fetch(tmp_path / "many", source="mnist")
    assert len(list((tmp_path / "many" / "data" / "raw").glob("*.arrow"))) == 6
    for name in ("sample", "label", "split"):
        assert np.array_equal(parted.column(name), table.column(name))
    assert np.array_equal(parted.images().numpy(), table.images().numpy())


@pytest.mark.usefixtures("unchecked")
def test_a_missing_data_set(tmp_path: Path, home: Path) -> None:
    line = refused(tmp_path, source="mnist")
    name = "train-images-idx3-ubyte"
    downloads = tmp_path / "data" / "downloads" / "mnist"
    assert line.startswith(
        f"mnist: no {name} or {name}.gz in {home}/mnist nor {downloads}, and no download "
        f"(http://127.0.0.1:9/{name}.gz: "
    )
    assert line.endswith(
        "expected the file there: set GEOCORE_DATA to the folder that holds mnist/, "
        f"or put it into {downloads}"
    )


@pytest.mark.parametrize(
    ("source", "about"), [("mnist", mnist.MNIST), ("fashion_mnist", fashion_mnist.FASHION_MNIST)]
)
def test_a_wrong_checksum(tmp_path: Path, home: Path, source: str, about: IdxDataset) -> None:
    save_idx(home / source)
    path = home / source / "train-images-idx3-ubyte.gz"
    line = refused(tmp_path, source=source)
    assert line.startswith(f"{path}: md5 of the decompressed bytes is ")
    assert line.endswith(f"; expected {about.md5['train-images-idx3-ubyte']}")


@pytest.mark.usefixtures("unchecked")
def test_a_truncated_idx_file(tmp_path: Path, home: Path) -> None:
    save_idx(home / "mnist")
    path = home / "mnist" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-784]))
    expected = f"{path}: truncated, {16 + 49 * 784} bytes decompressed; expected {16 + 50 * 784}"
    assert refused(tmp_path, source="mnist") == expected


def test_own_images(tmp_path: Path, home: Path) -> None:
    save_folder(home / "own")
    about, table = fetch(tmp_path, source="image_folder", path="own")
    assert about["splits"] == {"train": 8, "val": 2, "test": 2}
    assert table.info.type.shape == (4, 4, 1)
    assert table.info.classes == ("a", "b")
    _, small = fetch(tmp_path, source="image_folder", path="own", image_size=3)
    assert small.info.type.shape == (3, 3, 1)


def test_own_images_that_dvc_does_not_see_are_told(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_folder(home / "own")
    job = job_of(tmp_path, source="image_folder", path="own")
    STAGE.make(dataclasses.replace(job, progress=Progress()))
    assert "own lies outside data/own, where DVC sees no change" in capsys.readouterr().err
    save_folder(tmp_path / "data/own/seen")
    job = job_of(tmp_path, source="image_folder", path="data/own/seen")
    STAGE.make(dataclasses.replace(job, progress=Progress()))
    assert "outside" not in capsys.readouterr().err


def test_one_broken_image_among_own(tmp_path: Path, home: Path) -> None:
    path = save_folder(home / "own") / "b" / "3.png"
    path.write_bytes(b"this is no image")
    assert refused(tmp_path, source="image_folder", path="own") == (
        f"{path}: broken image (its bytes are no image); expected one that can be read"
    )


def test_missing_own_data(tmp_path: Path, home: Path) -> None:
    assert refused(tmp_path, source="image_folder", path="own") == (
        f"data.path is own, and there is no {tmp_path}/own nor {home}/own; expected your data there"
    )


def test_changed_own_data_make_the_table_stale(tmp_path: Path, home: Path) -> None:
    folder = save_folder(home / "own")
    job = job_of(tmp_path, source="image_folder", path="own")
    manifest = STAGE.make(job)
    assert STAGE.whole is not None
    assert STAGE.whole(job, manifest)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / "a" / "0.png")
    assert not STAGE.whole(job, manifest)
    assert STAGE.make(job)["raw"]["digest"] != manifest["raw"]["digest"]
    folder.rename(home / "away")
    assert not STAGE.whole(job, manifest)


def interrupting(after: int) -> Callable[..., Any]:
    """``decode`` that gives up once ``after`` images were decoded."""
    count = 0

    def decode(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count > after:
            raise KeyboardInterrupt
        return sources_decode.decode(*arguments)

    return decode


def test_an_interrupted_fetch_goes_on_part_by_part(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_folder(home / "own", each=20)
    how = {"source": "image_folder", "path": "own"}
    monkeypatch.setattr(table_module, "_PART_BYTES", 16 * 8)  # 40 images in parts of 8
    whole, _ = fetch(tmp_path / "whole", **how)
    root, name = tmp_path / "killed", "geocore.data.sources.image_folder.decode"
    with monkeypatch.context() as patch:
        patch.setattr(name, interrupting(21))
        with pytest.raises(KeyboardInterrupt):
            fetch(root, **how)
    assert len(list(root.rglob("part-*.arrow"))) == 2
    with monkeypatch.context() as patch:
        patch.setattr(name, interrupting(24))  # the other three parts, and no image more
        resumed, _ = fetch(root, **how)
    assert resumed == whole


def test_changed_own_data_do_not_meet_parts_of_the_old(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_folder(home / "own", each=20)
    how = {"source": "image_folder", "path": "own"}
    monkeypatch.setattr(table_module, "_PART_BYTES", 16 * 8)
    with monkeypatch.context() as patch:
        patch.setattr("geocore.data.sources.image_folder.decode", interrupting(21))
        with pytest.raises(KeyboardInterrupt):
            fetch(tmp_path, **how)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / "a" / "0.png")
    _, table = fetch(tmp_path, **how)
    assert not table.images(np.array([0])).any()


def test_fetching_needs_no_torch() -> None:
    code = "import sys, geocore.pipeline.fetch; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


MEASURE = """
import re, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2], sys.argv[3]]
from test_fetch import fetch
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
before = peak()
about, _ = fetch(Path(sys.argv[1]), source="mnist")
print(about["rows"], about["splits"], peak() - before)
"""


def test_the_real_mnist_in_flat_memory(tmp_path: Path) -> None:
    if GIVEN is None or not (Path(GIVEN) / "mnist").is_dir():
        pytest.skip(f"GEOCORE_DATA is {GIVEN or 'not set'}: no mnist there")
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell a process's peak of memory")
    arguments = [str(tmp_path), str(ROOT), str(Path(__file__).parent)]
    found = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments],
        env={**os.environ, "GEOCORE_DATA": GIVEN},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows, splits = found.split(" ", 1)[0], found[found.index("{") : found.index("}") + 1]
    assert rows == "70000"
    assert splits == "{'train': 51000, 'val': 9000, 'test': 10000}"
    assert int(found.split()[-1]) < 512, "MiB above what the imports take"

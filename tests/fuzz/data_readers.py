"""Readers of data: images in their formats, tables, members' predictions, cameras."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.reader import Reader

__all__ = ["DATA_READERS"]


def _idx(values: np.ndarray) -> bytes:
    shape = b"".join(n.to_bytes(4, "big") for n in values.shape)
    return bytes([0, 0, 8, values.ndim]) + shape + values.tobytes()


def _mnist(pack: bool) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        home = folder / "home/small"
        home.mkdir(parents=True)
        for part in ("train", "t10k"):
            images, labels = np.arange(48, dtype=np.uint8).reshape(3, 4, 4), np.arange(3)
            for name, value in (
                (f"{part}-images-idx3-ubyte", _idx(images)),
                (f"{part}-labels-idx1-ubyte", _idx(labels.astype(np.uint8))),
            ):
                packed = gzip.compress(value, mtime=0) if pack else value
                (home / f"{name}{'.gz' if pack else ''}").write_bytes(packed)

    return prepare


def _read_mnist(folder: Path) -> None:
    from geocore.data.sources.idx import IdxDataset, IdxImages

    about = IdxDataset("small", ("a", "b", "c"), 4, {}, ())
    _take(IdxImages(about, folder / "downloads", folder / "home"))


def _take(source: Any) -> None:
    """Everything that a fetch asks of a source of classes."""
    for batch in source.batches(2):
        assert batch.images.shape[1:] == source.shape
    if len(source.labels) and not 0 <= source.labels.min() <= source.labels.max() < len(
        source.classes
    ):
        raise AssertionError("a label is no class")


def _png(seed: int = 0, mode: str = "L") -> bytes:
    from PIL import Image

    generator = np.random.default_rng(seed)
    shape = (6, 6) if mode in "LP" else (6, 6, 3)
    out = io.BytesIO()
    Image.fromarray(generator.integers(0, 3, shape, np.uint8), mode).save(out, "PNG")
    return out.getvalue()


def _prepare_parquet(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = [{"bytes": _png(n), "path": None} for n in range(3)]
    about = {"info": {"features": {"label": {"names": ["a", "b"]}}}}
    table = pa.table({"image": images, "label": [0, 1, 1]})
    pq.write_table(
        table.replace_schema_metadata({"huggingface": json.dumps(about)}),
        folder / "train.parquet",
    )


def _read_parquet(folder: Path) -> None:
    from geocore.data.sources.parquet_images import ParquetImages

    _take(ParquetImages(folder / "train.parquet"))


def _prepare_members(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    p = np.log(np.full((8, 2), 0.5))
    table = {
        "sample": np.tile(np.arange(4), 2), "split": ["test"] * 8, "label": np.tile([0, 1], 4),
        "member": np.repeat([0, 1], 4), "log_probabilities": list(p),
    }  # fmt: skip
    pq.write_table(pa.table(table), folder / "members.parquet")


def _read_members(folder: Path) -> None:
    from geocore.measure.members_file import mixture_slices

    for _ in mixture_slices(folder / "members.parquet", "test"):
        pass


def _prepare_table(folder: Path) -> None:
    from tests.pipeline.stages import blobs, write_raw

    write_raw(
        folder / "table", blobs(6, 4, 4), rows_per_part=3,
        rotation=np.tile([1.0, 0, 0, 0], (6, 1)), valid=np.ones((6, 16), bool),
    )  # fmt: skip


def _seal_again(folder: Path) -> None:
    """The size and digest of the mutated part, as if it had been written so."""
    from geocore.runs.digest import digest_file

    path = folder / "table/part-00000.arrow"
    about = json.loads((folder / "table/table.json").read_text())
    about["parts"][0] |= {"bytes": path.stat().st_size, "digest": digest_file(path)}
    (folder / "table/table.json").write_text(json.dumps(about))


def _read_table(folder: Path) -> None:
    from geocore.data.table import Table

    table = Table.open(folder / "table", verify=True)
    for name in ("sample", "split", "label", "rotation"):
        table.column(name)
    table.images(), table.labels(), table.valid(), table.rows_of("train")
    table.require_finite()


def _prepare_calibration(folder: Path) -> None:
    about = {
        "name": "FV",
        "intrinsic": {
            "model": "radial_poly", "poly_order": 4, "k1": 339.7, "k2": -31.9, "k3": 48.2,
            "k4": -7.2, "cx_offset": 3.9, "cy_offset": -3.1, "aspect_ratio": 1.0, "width": 1280.0,
            "height": 966.0,
        },
        "extrinsic": {
            "quaternion": [0.5, -0.5, 0.5, -0.5], "translation": [3.7, 0.0, 0.6],
        },
    }  # fmt: skip
    (folder / "FV.json").write_text(json.dumps(about))


def _read_calibration(folder: Path) -> None:
    from geocore.camera.calibration import read_calibration
    from geocore.data.sources.woodscape_cameras import largest_group, upright_pose

    found = read_calibration(folder / "FV.json")
    found.camera.resized(16, 20)
    upright_pose(found.pose.rotation)
    largest_group([found.camera], (8, 8))


def _prepare_camera(folder: Path) -> None:
    from geocore.camera.models import Equidistant
    from geocore.camera.record import camera_to_dict

    camera = Equidistant.from_angle_of_view(120.0, 20, 30)
    (folder / "camera.json").write_text(json.dumps(camera_to_dict(camera)))


def _read_camera(folder: Path) -> None:
    from geocore.camera.record import camera_from_dict
    from geocore.config.foreign_json import parse_json

    camera_from_dict(parse_json((folder / "camera.json").read_bytes()))


def _prepare_svhn(folder: Path) -> None:
    from scipy.io import savemat

    images = np.arange(32 * 32 * 3 * 2, dtype=np.uint64).astype(np.uint8).reshape(32, 32, 3, 2)
    for part in ("train", "test"):
        labels = np.array([[1], [10]], np.uint8)
        savemat(folder / f"{part}_32x32.mat", {"X": images, "y": labels}, do_compression=True)


def _read_svhn(folder: Path) -> None:
    from geocore.data.sources.svhn import Svhn

    _take(Svhn([folder / "train_32x32.mat", folder / "test_32x32.mat"], md5=None))


def _prepare_images(folder: Path) -> None:
    for name, mode in (("a/0.png", "L"), ("b/1.png", "L"), ("b/2.png", "RGB")):
        (folder / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "own" / name).write_bytes(_png(1, mode))


def _read_images(folder: Path) -> None:
    from geocore.data.sources.image_folder import ImageFolder

    _take(ImageFolder(folder / "own", 5))


def _prepare_mask(folder: Path) -> None:
    (folder / "mask.png").write_bytes(_png(2, "L"))


def _read_mask(folder: Path) -> None:
    from geocore.data.sources.masks import read_mask

    read_mask(folder / "mask.png")


def _prepare_depth(folder: Path) -> None:
    np.save(folder / "depth.npy", np.ones((4, 5), np.float32))


def _read_depth(folder: Path) -> None:
    from geocore.data.sources.woodscape import _read_depth as read

    read(folder / "depth.npy")


DATA_READERS: dict[str, Reader] = {
    "idx": Reader(_mnist(False), "home/small/train-images-idx3-ubyte", _read_mnist),
    "idx labels": Reader(_mnist(False), "home/small/t10k-labels-idx1-ubyte", _read_mnist),
    "idx packed": Reader(_mnist(True), "home/small/train-images-idx3-ubyte.gz", _read_mnist),
    "parquet images": Reader(_prepare_parquet, "train.parquet", _read_parquet),
    "members": Reader(_prepare_members, "members.parquet", _read_members),
    "table": Reader(_prepare_table, "table/table.json", _read_table, "json"),
    "table part": Reader(_prepare_table, "table/part-00000.arrow", _read_table, after=_seal_again),
    "calibration": Reader(_prepare_calibration, "FV.json", _read_calibration, "json"),
    "camera": Reader(_prepare_camera, "camera.json", _read_camera, "json"),
    "svhn": Reader(_prepare_svhn, "train_32x32.mat", _read_svhn),
    "image folder": Reader(_prepare_images, "own/b/2.png", _read_images),
    "mask": Reader(_prepare_mask, "mask.png", _read_mask),
    "depth": Reader(_prepare_depth, "depth.npy", _read_depth),
}  # fmt: skip

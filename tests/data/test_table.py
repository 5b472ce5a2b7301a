"""The table gives back what was written, maps it, and names whatever is wrong with a folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import torch

from geocore.data.table import IGNORED, Columns, Table, TableWriter, rows_per_part
from geocore.data.tabletype import Camera, TableInfo, TableType
from geocore.errors import UserError

SPHERE = TableInfo(
    TableType(
        grid="healpix",
        nside=2,
        ordering="nested",
        faces=(4, 5, 6),
        channels=2,
        dtype="float32",
        label_kind="class",
    ),
    "made",
    ("a", "b", "c"),
    Camera("gnomonic", 90.0, "so3"),
    255.0,
)
PLANE = TableInfo(
    TableType(grid="planar", height=5, width=3, channels=3, dtype="uint8", label_kind="mask"),
    "made",
)
DENSE = TableInfo(
    TableType(grid="planar", height=4, width=5, channels=3, dtype="uint8", label_kind="mask"),
    "made",
    tuple("abcdefghijkl"),
    Camera("source", None, "none", {"model": "pinhole", "height": 4, "width": 5}, True),
    views=("upright", "tilted"),
)
SIZES = (5, 1, 4)


def columns(info: TableInfo, rows: int, seed: int = 0) -> dict[str, npt.NDArray[Any]]:
    rng = np.random.default_rng(seed)
    kind = info.type
    image = rng.integers(0, 256, (rows, *kind.shape)).astype(kind.dtype)
    made = {
        "sample": rng.permutation(rows).astype(np.int64),
        "image": image,
        "split": rng.integers(0, 3, rows).astype(np.uint8),
    }
    if kind.label_kind == "class":
        made["label"] = rng.integers(0, 3, rows)
    else:
        made["label"] = rng.integers(0, 12, (rows, kind.pixels)).astype(np.uint8)
        made["label"][rng.random(made["label"].shape) < 0.1] = IGNORED
    if info.camera is not None:
        made["rotation"] = rng.standard_normal((rows, 4))
        made["valid"] = rng.random((rows, kind.pixels)) < 0.5
    if info.views:
        made["view"] = rng.integers(0, len(info.views), rows).astype(np.uint8)
        made["depth"] = rng.random((rows, kind.pixels), np.float32)
    return made


def write(folder: Path, info: TableInfo, parts: list[Columns]) -> Path:
    folder.mkdir(exist_ok=True)
    writer = TableWriter(info)
    for number, part in enumerate(parts):
        writer.write_part(folder / f"part-{number:05d}.arrow", part)
    writer.seal(folder)
    return folder


@pytest.fixture(params=[SPHERE, PLANE, DENSE], ids=["sphere", "plane", "dense"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A table of three parts, and the columns of all of them."""
    info: TableInfo = request.param
    parts = [columns(info, rows, seed) for seed, rows in enumerate(SIZES)]
    every = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return write(tmp_path / "table", info, list(parts)), every


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "table", SPHERE, [columns(SPHERE, rows, rows) for rows in SIZES])


def test_everything_comes_back(written: tuple[Path, dict[str, Any]]) -> None:
    path, every = written
    table = Table.open(path, verify=True)
    assert len(table) == 10
    assert set(table.columns) == set(every)
    assert torch.equal(table.images(), torch.from_numpy(every["image"]))
    assert torch.equal(table.labels(), torch.from_numpy(every["label"]))
    for name in ("sample", "split"):
        assert np.array_equal(table.column(name), every[name])
        assert table.column(name).dtype == every[name].dtype
    if "valid" in every:
        assert torch.equal(table.valid(), torch.from_numpy(every["valid"]))
        assert np.array_equal(table.column("rotation"), every["rotation"])
    else:
        assert table.valid().shape == (10, table.info.type.pixels) and table.valid().all()
        assert table.valid(slice(2, 4)).shape == (2, table.info.type.pixels)
    if "depth" in every:
        assert torch.equal(table.depths(), torch.from_numpy(every["depth"]))
        assert np.array_equal(table.column("view"), every["view"])
    for number, split in enumerate(("train", "val", "test")):
        assert np.array_equal(table.rows_of(split), np.flatnonzero(every["split"] == number))


ROWS: list[Any] = [
    slice(0, 5), slice(1, 4), slice(5, 6), slice(6, 10), slice(None), slice(3, 8), slice(9, 2),
    slice(10, 10), slice(None, None, 3), slice(None, None, -1), slice(-2, None),
    np.array([], np.int64), np.array([9, 0, 5, 5, 3]), np.array([2, 1]), np.arange(10)[::-1],
]  # fmt: skip


@pytest.mark.parametrize("rows", ROWS, ids=str)
def test_any_rows_are_those_of_the_concatenation(
    written: tuple[Path, dict[str, Any]], rows: slice | npt.NDArray[np.int64]
) -> None:
    path, every = written
    table = Table.open(path)
    assert torch.equal(table.images(rows), torch.from_numpy(every["image"][rows].copy()))
    assert torch.equal(table.labels(rows), torch.from_numpy(every["label"][rows].copy()))
    if "valid" in every:
        assert torch.equal(table.valid(rows), torch.from_numpy(every["valid"][rows].copy()))
    if "depth" in every:
        assert torch.equal(table.depths(rows), torch.from_numpy(every["depth"][rows].copy()))


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_batches_cover_all_rows_and_never_cross_a_part(folder: Path, size: int) -> None:
    table = Table.open(folder)
    batches = list(table.batches(size))
    assert [row for batch in batches for row in range(10)[batch]] == list(range(10))
    edges = {0, 5, 6, 10}
    assert all(not edges & set(range(batch.start + 1, batch.stop)) for batch in batches)
    assert all(batch.stop - batch.start <= size for batch in batches)


def mapped(path: Path, address: int) -> bool:
    """Whether ``address`` lies where this process has mapped the file."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(str(path)):
            start, stop = (int(end, 16) for end in line.split()[0].split("-"))
            if start <= address < stop:
                return True
    return False


def test_slices_are_views_of_the_file(tmp_path: Path) -> None:
    big = dataclasses.replace(PLANE, type=dataclasses.replace(PLANE.type, height=512, width=512))
    path = write(tmp_path / "big", big, [columns(big, 8)])
    before = pa.total_allocated_bytes()
    table = Table.open(path)
    views = [table.images(batch) for batch in table.batches(3)]
    assert pa.total_allocated_bytes() == before
    for view in views:
        assert mapped(path / "part-00000.arrow", view.data_ptr())
    assert views[1].data_ptr() - views[0].data_ptr() == 3 * 512 * 512 * 3
    gathered = table.images(np.array([0, 1]))
    assert not mapped(path / "part-00000.arrow", gathered.data_ptr())
    gathered.zero_()  # memory of one's own


def test_mapping_warns_nobody(folder: Path, recwarn: pytest.WarningsRecorder) -> None:
    Table.open(folder).images(slice(0, 2))
    assert not [w for w in recwarn if "writable" in str(w.message)]


def test_valid_bits_are_little_endian_and_padded_with_zeros(tmp_path: Path) -> None:
    kind = TableType(
        grid="healpix",
        nside=1,
        ordering="ring",
        faces=tuple(range(12)),
        channels=1,
        dtype="uint8",
        label_kind="none",
    )
    mask = np.zeros((1, 12), bool)
    mask[0, [0, 3, 9, 11]] = True
    made: Columns = {
        "sample": np.zeros(1, np.int64),
        "image": np.zeros((1, 12, 1), np.uint8),
        "split": np.zeros(1, np.uint8),
        "valid": mask,
    }
    table = Table.open(write(tmp_path / "t", TableInfo(kind, "made"), [made]))
    assert table.column("valid").tolist() == [[0b00001001, 0b00001010]]
    assert torch.equal(table.valid(), torch.from_numpy(mask))
    with pytest.raises(UserError, match=r"no column 'label'; found sample, image, split, valid$"):
        table.labels()


def test_equal_columns_give_equal_bytes(tmp_path: Path) -> None:
    for info in (SPHERE, DENSE):
        for name in ("one", "two"):
            write(tmp_path / name, info, [columns(info, 5), columns(info, 3, 1)])
        for path in (tmp_path / "one").iterdir():
            assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_rows_per_part_depends_on_the_type_alone() -> None:
    digit = TableType(
        grid="planar", height=28, width=28, channels=1, dtype="uint8", label_kind="class"
    )
    assert rows_per_part(digit) == 32 * 2**20 // 784
    maps = TableType(grid="healpix", nside=16, faces=tuple(range(12)), channels=1, dtype="float32")
    assert rows_per_part(maps) == 32 * 2**20 // (4 * 3072)
    dense = dataclasses.replace(digit, label_kind="mask", channels=3)
    assert rows_per_part(dense) == 32 * 2**20 // (784 * (3 + 1 + 4))
    huge = TableType(grid="planar", height=8192, width=8192, channels=3, dtype="float32")
    assert rows_per_part(huge) == 1


Damage = Callable[[Path], object]
LAST = "part-00002.arrow"


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    sealed = json.loads(path.read_text())
    change(sealed)
    path.write_text(json.dumps(sealed))


def refused(folder: Path, **how: Any) -> str:
    with pytest.raises(UserError) as caught:
        Table.open(folder, **how)
    assert len(caught.value.lines) == 1
    return str(caught.value)


def test_a_truncated_part(folder: Path) -> None:
    size = (folder / LAST).stat().st_size
    truncate(folder / LAST)
    line = f"{folder / LAST}: truncated, {size - 10} bytes; expected {size}"
    assert refused(folder) == line


def test_a_part_that_grew(folder: Path) -> None:
    size = (folder / LAST).stat().st_size
    with (folder / LAST).open("ab") as stream:
        stream.write(b"more")
    assert refused(folder) == f"{folder / LAST}: {size + 4} bytes; expected {size}"


def test_a_missing_part(folder: Path) -> None:
    size = (folder / LAST).stat().st_size
    (folder / LAST).unlink()
    assert refused(folder) == f"{folder / LAST}: missing; expected {size} bytes"


def test_a_flipped_bit_is_found_by_verify(folder: Path) -> None:
    whole = json.loads((folder / "table.json").read_text())["parts"][2]["digest"]
    pixel = columns(SPHERE, 4, 4)["image"][2].tobytes()
    flip(folder / LAST, (folder / LAST).read_bytes().index(pixel) + 3)
    assert len(Table.open(folder)) == 10, "the content is not read unless asked"
    line = refused(folder, verify=True)
    assert line.startswith(f"{folder / LAST}: altered, its digest is ")
    assert line.endswith(f"; expected {whole}")


@pytest.mark.parametrize("bit", [1, 128])
def test_a_flipped_bit_never_ends_in_another_error(folder: Path, bit: int) -> None:
    path = folder / LAST
    whole = path.read_bytes()
    for at in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[at] ^= bit
        path.unlink()  # what is mapped stays as it is
        path.write_bytes(damaged)
        try:
            Table.open(folder).images()
        except UserError as error:
            assert str(error).startswith((f"{path}: ", f"{folder}: its parts have different"))


def test_no_arrow_file(folder: Path) -> None:
    path = folder / LAST
    path.write_bytes(b"x" * path.stat().st_size)
    assert refused(folder) == f"{path}: no whole Arrow file; expected an Arrow IPC part"


@pytest.mark.parametrize(
    "error",
    [
        OSError("Memory mapping file failed: Cannot allocate memory"),  # as Arrow words it
        pa.ArrowMemoryError("malloc of size 64 failed"),
    ],
)
def test_no_memory_is_no_damage(
    folder: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise error

    monkeypatch.setattr(pa, "memory_map", refuse)
    assert refused(folder).startswith(f"{folder}/part-00000.arrow: out of memory ({error}); ")


def test_altered_metadata(folder: Path) -> None:
    edit(folder / "table.json", lambda sealed: sealed["type"].update(ordering="ring"))
    path = folder / "part-00000.arrow"
    expected = "its metadata is not that of table.json; expected the same table"
    assert refused(folder) == f"{path}: {expected}"


def test_ring_is_not_nested(tmp_path: Path) -> None:
    ring = dataclasses.replace(SPHERE, type=dataclasses.replace(SPHERE.type, ordering="ring"))
    path = write(tmp_path / "ring", ring, [columns(ring, 3)])
    wanted = TableType(grid="healpix", ordering="nested")
    assert refused(path, wanted=wanted) == f"{path}: ordering is ring; expected nested"
    assert len(Table.open(path, TableType(grid="healpix", ordering="ring"))) == 3


def test_every_mismatch_has_a_line(folder: Path) -> None:
    with pytest.raises(UserError) as caught:
        Table.open(folder, TableType(grid="planar", dtype="uint8", channels=2))
    assert caught.value.lines == (
        f"{folder}: grid is healpix; expected planar",
        f"{folder}: dtype is float32; expected uint8",
    )


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda f: (f / "table.json").unlink(), "no table.json there; expected a finished table"),
        (lambda f: (f / "table.json").write_text("{"), "not JSON; expected a table's metadata"),
        (lambda f: (f / "table.json").write_bytes(b"\xff"), "not JSON; expected a table's"),
        (
            lambda f: edit(f / "table.json", lambda s: s.pop("parts")),
            "no parts are listed; expected at least one",
        ),
        (
            lambda f: edit(f / "table.json", lambda s: s.update(parts=[])),
            "no parts are listed; expected at least one",
        ),
        (
            lambda f: edit(f / "table.json", lambda s: s["parts"][0].update(name="../x.arrow")),
            "expected name, rows, bytes and digest",
        ),
        (
            lambda f: edit(f / "table.json", lambda s: s["parts"][0].update(bytes="9")),
            "expected name, rows, bytes and digest",
        ),
        (
            lambda f: edit(f / "table.json", lambda s: s["parts"][1].update(digest=None)),
            "expected name, rows, bytes and digest",
        ),
        (lambda f: (f / "table.json").write_text("[" * 10**5), "not JSON; expected a table's"),
        (
            lambda f: edit(f / "table.json", lambda s: s["parts"][0].update(rows=6)),
            "5 rows; expected 6",
        ),
        (
            lambda f: edit(f / "table.json", lambda s: s["type"].update(nside=None)),
            "expected a complete geometry",
        ),
        (
            lambda f: edit(f / "table.json", lambda s: s["type"].update(dtype=None)),
            "expected a complete type",
        ),
    ],
)
def test_a_broken_folder(folder: Path, damage: Damage, line: str) -> None:
    damage(folder)
    assert line in refused(folder)


def rewritten(folder: Path, batch: pa.RecordBatch) -> None:
    """Replace the last part by one with the right metadata and other columns, sealed anew."""
    path = folder / LAST
    with pa.memory_map(str(path)) as source:
        metadata = pa.ipc.open_file(source).schema.metadata
    batch = batch.replace_schema_metadata(metadata)
    path.unlink()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    TableWriter(SPHERE).seal(folder)


def batch_of(folder: Path) -> pa.RecordBatch:
    with pa.OSFile(str(folder / LAST)) as source:
        return pa.ipc.open_file(source).get_batch(0)


def test_columns_of_another_kind(folder: Path) -> None:
    batch = batch_of(folder)
    path = folder / LAST
    split = batch.schema.get_field_index("split")
    rewritten(folder, batch.set_column(split, "split", pa.array([0, 1, 2, 1])))
    assert refused(folder) == f"{path}: column split is int64; expected uint8"
    rewritten(folder, batch.set_column(split, "split", pa.array([0, None, 2, 1], pa.uint8())))
    assert refused(folder) == f"{path}: column split has nulls; expected none"
    rewritten(folder, batch.remove_column(split))
    assert refused(folder) == f"{path}: no column 'split'; expected one"
    rewritten(folder, batch.append_column("more", pa.array([1, 2, 3, 4])))
    line = "a column is 'more'; expected only sample, image, split, rotation, valid, depth, label"
    assert refused(folder) == f"{path}: {line}"
    rewritten(folder, batch.remove_column(batch.schema.get_field_index("valid")))
    assert refused(folder) == f"{folder}: its parts have different columns; expected the same"


def test_there_is_no_empty_table(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the part has no rows; expected at least one"):
        TableWriter(SPHERE).write_part(tmp_path / "part-00000.arrow", columns(SPHERE, 0))
    with pytest.raises(ValueError, match="holds no parts; expected at least one"):
        TableWriter(SPHERE).seal(tmp_path)
    assert not list(tmp_path.iterdir())


def test_seal_takes_the_named_parts_in_their_order(folder: Path, tmp_path: Path) -> None:
    every = Table.open(folder).column("sample")
    names = ["part-00002.arrow", "part-00000.arrow"]
    (folder / "table.json").unlink()
    TableWriter(SPHERE).seal(folder, names, tmp_path / "elsewhere.json")
    assert not (folder / "table.json").exists()
    (tmp_path / "elsewhere.json").rename(folder / "table.json")
    found = Table.open(folder, verify=True).column("sample")
    assert found.tolist() == [*every[6:], *every[:5]]


@pytest.mark.parametrize(
    ("change", "error", "line"),
    [
        ({"more": np.zeros(4)}, ValueError, "columns are sample, image, split, label, rotation"),
        ({"label": None}, ValueError, "expected image, label, sample, split and perhaps rotation"),
        ({"image": np.zeros((4, 12, 2))}, TypeError, "image is float64; expected float32"),
        (
            {"image": np.zeros((4, 12, 1), np.float32)},
            ValueError,
            r"column image has shape \(4, 12, 1\); expected \(4, 24\)",
        ),
        ({"split": np.zeros(3, np.uint8)}, ValueError, r"split has shape \(3,\); expected \(4,\)"),
        ({"split": np.full(4, 3, np.uint8)}, ValueError, "a split is 3; expected 0 to 2"),
        ({"label": np.array([0, 3, 1, 1])}, ValueError, "a label is 3; expected 0 to 2"),
        ({"label": np.array([0, -1, 1, 1])}, ValueError, "a label is -1; expected 0 to 2"),
        ({"valid": np.zeros((4, 2), np.uint8)}, TypeError, "valid is uint8; expected bool"),
        (
            {"valid": np.zeros((4, 11), bool)},
            ValueError,
            r"valid has shape \(4, 11\); expected \(4, 12\)",
        ),
    ],
)
def test_a_part_must_be_what_the_info_says(
    tmp_path: Path, change: dict[str, Any], error: type[Exception], line: str
) -> None:
    made = {k: v for k, v in {**columns(SPHERE, 4), **change}.items() if v is not None}
    with pytest.raises(error, match=line):
        TableWriter(SPHERE).write_part(tmp_path / "part-00000.arrow", made)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("label", 12, "a label is 12; expected 0 to 11"),
        ("label", 254, "a label is 254; expected 0 to 11"),
        ("view", 2, "a view is 2; expected 0 to 1"),
        ("depth", -1e-3, "a depth is negative or no finite number; expected metres, or 0"),
        ("depth", np.nan, "a depth is negative or no finite number; expected metres, or 0"),
        ("depth", np.inf, "a depth is negative or no finite number; expected metres, or 0"),
    ],
)
def test_a_dense_part_holds_classes_views_and_metres(
    tmp_path: Path, name: str, value: float, line: str
) -> None:
    made = columns(DENSE, 4)
    made[name].reshape(-1)[3] = value
    with pytest.raises(ValueError, match=line):
        TableWriter(DENSE).write_part(tmp_path / "part-00000.arrow", made)
    made[name].reshape(-1)[3] = 0
    made["label"][:] = IGNORED
    TableWriter(DENSE).write_part(tmp_path / "part-00000.arrow", made)


def test_views_have_names(tmp_path: Path) -> None:
    made = columns(DENSE, 4)
    with pytest.raises(ValueError, match="expected image, label, sample, split and perhaps"):
        TableWriter(dataclasses.replace(DENSE, views=())).write_part(tmp_path / "part", made)


def test_pixels_may_lie_as_in_the_image(tmp_path: Path) -> None:
    made = columns(DENSE, 4)
    square = {name: made[name].reshape(4, 4, 5) for name in ("label", "valid", "depth")}
    for name, part in (("flat", made), ("square", {**made, **square})):
        TableWriter(DENSE).write_part(tmp_path / name, part)
    assert (tmp_path / "flat").read_bytes() == (tmp_path / "square").read_bytes()


def test_wrong_rows_are_named(folder: Path) -> None:
    table = Table.open(folder)
    with pytest.raises(ValueError, match="rows run from -1 to 3; expected 0 to 9"):
        table.images(np.array([3, -1]))
    with pytest.raises(ValueError, match="rows run from 0 to 10; expected 0 to 9"):
        table.labels(np.array([0, 10]))
    with pytest.raises(TypeError, match=r"rows are bool of shape \(10,\); expected row numbers"):
        table.images(np.ones(10, bool))
    with pytest.raises(ValueError, match="split is 'dev'; expected one of train, val, test"):
        table.rows_of("dev")
    with pytest.raises(ValueError, match="size is 0; expected at least 1"):
        list(table.batches(0))
    with pytest.raises(UserError, match="no column 'depth'; found sample"):
        table.column("depth")
    with pytest.raises(UserError, match="no column 'depth'; found sample"):
        table.depths()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_require_finite_names_the_sample(tmp_path: Path, value: float) -> None:
    parts = [columns(SPHERE, 5), columns(SPHERE, 4, 1)]
    path = write(tmp_path / "whole", SPHERE, list(parts))
    Table.open(path).require_finite()
    Table.open(path).require_finite("rotation")
    Table.open(path).require_finite("label")
    parts[1]["sample"] += 1000
    parts[1]["image"][2, 7, 1] = value
    path = write(tmp_path / "broken", SPHERE, list(parts))
    sample = parts[1]["sample"][2]
    with pytest.raises(UserError) as caught:
        Table.open(path).require_finite()
    assert caught.value.lines == (
        f"{path}: image of sample {sample} is {value} at pixel 7, channel 1; "
        "expected finite numbers",
    )


def test_require_finite_looks_everywhere_in_a_large_part(tmp_path: Path) -> None:
    kind = dataclasses.replace(SPHERE.type, nside=64)
    info = dataclasses.replace(SPHERE, type=kind)
    made = columns(info, 60)
    for row in (0, 41, 59):
        broken = {**made, "image": made["image"].copy()}
        broken["image"][row, -1, -1] = np.nan
        path = write(tmp_path / str(row), info, [broken])
        with pytest.raises(UserError, match=rf"sample {made['sample'][row]} is nan at pixel 12287"):
            Table.open(path).require_finite()


def test_a_full_disk_is_an_oserror_that_the_store_can_name() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        TableWriter(SPHERE).write_part(full, columns(SPHERE, 5000))
    assert caught.value.errno == 28

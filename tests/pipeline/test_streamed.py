"""A streamed table goes on where it was cut off, and is told from a damaged one."""

from __future__ import annotations

import dataclasses
import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocore.config.section import Section
from geocore.data.table import Columns, Table, TableWriter
from geocore.data.tabletype import TableInfo, TableType
from geocore.errors import UserError
from geocore.pipeline.progress import Progress
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.streamed import outputs_whole, parts_of, row_spans, stream_table
from geocore.runs.digest import digest_file
from geocore.runs.store import Store

INFO = TableInfo(
    TableType(grid="planar", height=2, width=2, channels=1, dtype="uint8", label_kind="class"),
    "made",
    ("a", "b"),
)
SPANS = [(0, 4), (4, 8), (8, 10)]


class Spoken(Progress):
    def __init__(self) -> None:
        super().__init__(False)
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    stage = Stage(
        name="made",
        summary="",
        sections=(Section,),
        takes={},
        gives={"out": Port("data/out", "table"), "notes": Port("results/notes", "numbers")},
        code=(),
        make=lambda job: {},
        write=lambda job, manifest: None,
    )
    return Job(
        stage=stage,
        root=tmp_path,
        sections={},
        values={},
        inputs={},
        store=Store(tmp_path / "store"),
        work=tmp_path / "work",
        key="key",
        code="code",
        progress=Spoken(),
    )


class Maker:
    """Makes parts, remembers which, and gives up before row ``stop_at``."""

    def __init__(self, stop_at: int | None = None, seed: int = 0) -> None:
        self.asked: list[tuple[int, int]] = []
        self._stop_at, self._seed = stop_at, seed

    def __call__(self, start: int, stop: int) -> Columns:
        if start == self._stop_at:
            raise KeyboardInterrupt
        self.asked.append((start, stop))
        rows = np.arange(start, stop)
        image = (rows[:, np.newaxis, np.newaxis, np.newaxis] + self._seed) % 256
        return {
            "sample": rows,
            "image": np.broadcast_to(image, (len(rows), 2, 2, 1)).astype(np.uint8),
            "label": rows % 2,
            "split": (rows % 5 // 3).astype(np.uint8),
        }


def stream(job: Job, maker: Callable[[int, int], Columns], **how: Any) -> dict[str, Any]:
    return stream_table(job, "out", how.pop("info", INFO), SPANS, maker, "making", **how)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_table_and_what_is_said_of_it(job: Job) -> None:
    maker = Maker()
    told = stream(job, maker)
    assert maker.asked == SPANS
    table = Table.open(job.output("out"), verify=True)
    assert table.column("sample").tolist() == list(range(10))
    assert table.images()[:, 0, 0, 0].tolist() == list(range(10))
    assert told["rows"] == 10
    assert told["splits"] == {"train": 6, "val": 4, "test": 0}
    assert json.loads(json.dumps(told)) == told
    assert sorted(contents(job.output("out"))) == [
        *(f"part-0000{n}.arrow" for n in range(3)),
        "table.json",
    ]
    assert not job.work.exists(), "nothing is kept twice"


def test_the_digest_is_that_of_the_content(job: Job) -> None:
    digest = stream(job, Maker())["digest"]
    assert stream(job, Maker())["digest"] == digest
    assert stream(job, Maker(seed=1))["digest"] != digest
    other = dataclasses.replace(INFO, classes=("b", "a"))
    assert stream(job, Maker(), info=other)["digest"] != digest


def test_an_interrupted_table_goes_on_and_ends_the_same(job: Job) -> None:
    stream(job, Maker(seed=7))
    old = contents(job.output("out"))
    with pytest.raises(KeyboardInterrupt):
        stream(job, Maker(stop_at=8))
    assert contents(job.output("out")) == old, "the old table is whole"
    maker = Maker()
    told = stream(job, maker)
    assert maker.asked == [(8, 10)]
    resumed = contents(job.output("out"))
    assert stream(job, Maker()) == told
    assert contents(job.output("out")) == resumed


def test_a_part_damaged_meanwhile_is_told_and_made_again(job: Job) -> None:
    with pytest.raises(KeyboardInterrupt):
        stream(job, Maker(stop_at=8))
    part = next(job.work.rglob("part-00000.arrow"))
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)
    maker = Maker()
    stream(job, maker)
    assert maker.asked == [(0, 4), (8, 10)]
    Table.open(job.output("out"), verify=True)
    assert isinstance(job.progress, Spoken)
    (line,) = job.progress.lines
    assert line.startswith("part part-00000.arrow of out-")


@pytest.mark.parametrize("harm", ["none", "a bit", "half of it", "gone"])
def test_what_others_wrote_is_read_once_and_made_again_if_it_is_damaged(
    job: Job, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    whole = stream(job, Maker())
    _, names = parts_of(job, "out", INFO, SPANS)
    parts, maker = parts_of(job, "out", INFO, SPANS)[0], Maker()
    for name, span in zip(names, SPANS, strict=True):
        with parts.write(name) as path:
            TableWriter(INFO).write_part(path, Maker()(*span))
    part = parts.folder / "parts" / names[1]
    data = part.read_bytes()
    part.write_bytes(
        {"a bit": data[:-1] + b"x", "half of it": data[: len(data) // 2]}.get(harm, data)
    )
    if harm == "gone":
        part.unlink()
    read: list[str] = []

    def noting(path: Path) -> str:
        read.append(path.name)
        return digest_file(path)

    for module in ("geocore.data.table", "geocore.runs.parts"):
        monkeypatch.setattr(f"{module}.digest_file", noting)
    assert stream_table(job, "out", INFO, SPANS, maker, "making", written=True) == whole
    assert maker.asked == ([] if harm == "none" else [SPANS[1]])
    if harm == "none":
        assert [name for name in read if name.startswith("part-")] == names
    Table.open(job.output("out"), verify=True)


@pytest.mark.parametrize(
    "how", [{"made_from": "others"}, {"info": dataclasses.replace(INFO, source="else")}]
)
def test_parts_of_something_else_are_not_taken_over(job: Job, how: dict[str, Any]) -> None:
    with pytest.raises(KeyboardInterrupt):
        stream(job, Maker(stop_at=8))
    maker = Maker()
    stream(job, maker, **how)
    assert maker.asked == SPANS


def test_a_full_disk_leaves_the_old_table(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = {"out": stream(job, Maker())}
    (job.root / "results").mkdir()
    job.output("notes").write_text("1")
    whole = TableWriter.write_part

    def full(writer: TableWriter, path: Path, columns: Columns) -> None:
        if columns["sample"][0] == 4:
            path.write_bytes(b"some")
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(writer, path, columns)

    monkeypatch.setattr(TableWriter, "write_part", full)
    with pytest.raises(UserError, match=r"^no space left on device while writing .*part-00001"):
        stream(job, Maker(seed=1))
    assert outputs_whole(job, manifest)
    monkeypatch.undo()
    maker = Maker(seed=1)
    stream(job, maker)
    assert maker.asked == SPANS[1:]


def test_no_spans(job: Job) -> None:
    with pytest.raises(ValueError, match="spans of out is empty; expected at least one part"):
        stream_table(job, "out", INFO, [], Maker(), "making")


def test_row_spans_cover_all_rows_once() -> None:
    kind = dataclasses.replace(INFO.type, height=1024, width=1024)
    assert row_spans(kind, 70) == [(0, 32), (32, 64), (64, 70)]
    assert row_spans(kind, 64) == [(0, 32), (32, 64)]
    assert row_spans(kind, 0) == []


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def test_outputs_are_whole_until_one_is_touched(job: Job) -> None:
    manifest: Manifest = {"out": stream(job, Maker())}
    out, notes = job.output("out"), job.output("notes")
    assert not outputs_whole(job, manifest), "the notes are missing"
    notes.parent.mkdir()
    notes.write_text("1")
    assert outputs_whole(job, manifest)
    assert not outputs_whole(job, {**manifest, "notes": {"digest": "0"}})
    assert not outputs_whole(job, {"out": {**manifest["out"], "digest": "0"}})
    for name in ("part-00001.arrow", "table.json"):
        damage(out / name)
        assert not outputs_whole(job, manifest), name
        stream(job, Maker())
        assert outputs_whole(job, manifest)
    (out / "part-00002.arrow").unlink()
    assert not outputs_whole(job, manifest)


def test_a_whole_table_of_other_content_is_not_it(job: Job) -> None:
    manifest: Manifest = {"out": stream(job, Maker())}
    job.output("notes").parent.mkdir()
    job.output("notes").write_text("1")
    stream(job, Maker(seed=1))
    assert not outputs_whole(job, manifest)

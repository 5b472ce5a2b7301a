"""What mutated inputs found, mended: a test for each; and what they found that stands as it is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocore.config.load import parse_yaml
from geocore.config.presets import overrides
from geocore.errors import UserError, refused_by_system
from geocore.pipeline.gate import _read as read_gates
from geocore.pipeline.run import input_digest
from geocore.pipeline.stage import Port
from geocore.runs.digest import digest_json
from geocore.runs.ledger import Ledger
from geocore.runs.manifest import read_manifest, verify
from geocore.runs.parts import Parts
from tests.fuzz.reading import READERS

DEEP = "[" * 100_000
# A line of nine aliases of the line before: 9^9 values.
BOMB = "a: &a [x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)


def line(call: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    (found,) = caught.value.lines
    return found


@pytest.mark.parametrize("value", ["!!timestamp x", "!!int x", "!!float x", "!!int ''"])
def test_a_value_that_is_not_as_its_yaml_tag_says(value: str) -> None:
    found = line(lambda: parse_yaml(f"a: {value}", "params.yaml"))
    tag, _, text = value.partition(" ")
    written = text.replace("'", "")
    kind = {"!!int": "an integer", "!!float": "a number", "!!timestamp": "a date"}[tag]
    assert found == (
        f'params.yaml line 1: "{written}" cannot be read as {kind}; expected valid YAML'
    )


def test_brackets_that_nobody_closes_are_refused_at_once() -> None:
    began = time.process_time()
    found = line(lambda: parse_yaml("[" * 50_000, "params.yaml"))
    assert found == "params.yaml: nested too deeply; expected a mapping of keys"
    assert time.process_time() - began < 1
    assert parse_yaml("a: [[1], '[[[', {b: []}]", "x")["a"][1] == "[[["


def test_aliases_of_aliases_are_counted_before_they_are_read() -> None:
    found = line(lambda: parse_yaml(BOMB, "params.yaml"))
    assert found == "params.yaml: holds more than 1000000 values, aliases followed"
    assert parse_yaml("a: &x [1, 2]\nb: *x", "params.yaml")["b"] == [1, 2]


@pytest.mark.parametrize("value", ["!!set {a}", "!!binary aGk=", "&x [*x]"])
def test_a_preset_that_no_argument_can_say(tmp_path: Path, value: str) -> None:
    (tmp_path / "params.yaml").write_text("train: {lr: 1.0}\n")
    (tmp_path / "presets.yaml").write_text(f"smoke: {{train: {{lr: {value}}}}}\n")
    found = line(lambda: overrides(tmp_path, "smoke"))
    assert found.startswith("presets.yaml: train.lr holds what JSON does not; expected ")


@pytest.mark.parametrize(
    "change",
    [
        {"files": None}, {"files": {"x": 3}}, {"files": {"x": {"size": 3}}}, {"values": [1]},
    ],
)  # fmt: skip
def test_a_manifest_that_lacks_what_readers_need(tmp_path: Path, change: dict[str, Any]) -> None:
    about = {"key": "k", "values": {}, "files": {}, **change}
    text = json.dumps({**about, "checksum": digest_json(about)})
    (tmp_path / "manifest.json").write_text(text)
    manifest, damage = verify("k", tmp_path)
    assert manifest is None
    assert damage == "manifest.json lacks values, or the size and digest of a file"


def test_json_that_is_nested_deeply_is_damage(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(DEEP)
    assert read_manifest("k", tmp_path)[1] is not None
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger/20260101T000000-train-000000.json").write_text(DEEP)
    assert len(Ledger(tmp_path / "ledger", tmp_path).damaged()) == 1
    with Parts(tmp_path / "work").write("x") as path:
        path.write_bytes(b"abc")
    (tmp_path / "work/journal/x.json").write_text(DEEP)
    told: list[str] = []
    assert not Parts(tmp_path / "work", told.append).done("x") and len(told) == 1
    (tmp_path / "gates.json").write_text(DEEP)
    shown = "results/evaluate/gates.json"
    assert line(lambda: read_gates(tmp_path / "gates.json", shown)).startswith(shown)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '<f4', 'fortran_orde",
    ],
)
def test_a_depth_whose_header_lies_reserves_nothing(tmp_path: Path, header: str) -> None:
    from geocore.data.sources.woodscape import _read_depth

    text = header.ljust(117).encode() + b"\n"
    whole = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(16)
    (tmp_path / "d.npy").write_bytes(whole)
    assert "broken (" in line(lambda: _read_depth(tmp_path / "d.npy"))
    np.save(tmp_path / "d.npy", np.ones((2, 3), np.float64))
    assert _read_depth(tmp_path / "d.npy").tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "stage x: out of memory; expected more of it"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "stage x: out of memory (Def"),
        (RuntimeError("a worker ended with code -9; expected"), "stage x: a worker was killed (si"),
        (RuntimeError("a worker ended with code 1; expected"), None),
        (ValueError("out of memory"), None),
    ],
)
def test_what_the_system_refuses_is_told(error: BaseException, told: str | None) -> None:
    found = refused_by_system(error, "stage x")
    assert (found is None) if told is None else str(found).startswith(told)


def read(name: str, folder: Path, data: bytes) -> None:
    """Give ``data`` to a reader; what it may raise is let through."""
    reader = READERS[name]
    reader.prepare(folder)
    reader.place(folder, data)
    try:
        reader.read(folder)
    except (UserError, ValueError):
        return
    raise AssertionError("taken")


def with_bytes(value: str) -> bytes:
    part = {"name": "part-00000.arrow", "rows": 3, "bytes": value, "digest": ""}
    kind = {"grid": "planar", "height": 4, "width": 4, "channels": 1, "dtype": "uint8"}
    about = {"type": {**kind, "label_kind": "class"}, "source": "test", "classes": ["a"]}
    return json.dumps({"version": 1, **about, "parts": [part]}).encode()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("table", DEEP.encode()),
        ("table", with_bytes("x")),
        ("model.json", DEEP.encode()),
        ("model.json", None),
    ],
    ids=["deep table", "bytes of a part", "deep network", "a normaliser beyond every float"],
)
def test_what_tables_and_networks_say(tmp_path: Path, name: str, data: bytes | None) -> None:
    if data is None:
        READERS[name].prepare(tmp_path)
        about = json.loads((tmp_path / name).read_text())
        data = json.dumps({**about, "normaliser": 10**400}).encode()
    read(name, tmp_path, data)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (DEEP.encode(), "not JSON; expected a table's metadata"),
        (with_bytes("x"), "a part is {"),
    ],
    ids=["deep", "bytes"],
)
def test_a_stage_refuses_such_a_table_in_a_line(tmp_path: Path, data: bytes, told: str) -> None:
    READERS["table"].prepare(tmp_path)
    (tmp_path / "table/table.json").write_bytes(data)
    found = line(lambda: input_digest(tmp_path, "table", "table", Port("table", "table")))
    assert found.startswith(f"{tmp_path}/table/table.json: {told}")


@pytest.mark.parametrize("data", [b"[]", DEEP.encode()])
def test_numbers_of_a_checkpoint(tmp_path: Path, data: bytes) -> None:
    read("checkpoint numbers", tmp_path, data)


@pytest.mark.parametrize(
    ("name", "data"), [("chip", b""), ("chip words", DEEP.encode())], ids=["file", "words"]
)
def test_a_description_of_a_chip(tmp_path: Path, name: str, data: bytes) -> None:
    read(name, tmp_path, data)

"""The piece store: whole or not there, built once, verified whenever it is found."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from geocore.errors import UserError
from geocore.runs.digest import digest_bytes
from geocore.runs.store import Piece, Store, piece_key

KEY = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def build(folder: Path) -> dict[str, Any]:
    (folder / "sub").mkdir()
    (folder / "sub" / "weights.safetensors").write_bytes(bytes(1000))
    (folder / "scores.json").write_text("[1]")
    return {"accuracy": 0.1 + 0.2, "shape": (2, 3)}


def never(folder: Path) -> None:
    raise AssertionError("it was there already")


def make(store: Store, key: str = KEY) -> Piece:
    return store.make(key, build, verb="members", parameters={"seed": 1})[0]


def flip_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def left_over(store: Store) -> list[str]:
    return [path.name for path in (store.root / "pieces").rglob(".*")]


def test_a_piece_is_made_once_and_found_with_the_same_values(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.find(KEY) is None
    made, first = store.make(KEY, build, verb="members", parameters={"seed": 1})
    found, second = Store(tmp_path).make(KEY, never, verb="members")
    assert (first, second) == (True, False)
    assert found == made == store.find(KEY)
    assert found.values == {"accuracy": 0.1 + 0.2, "shape": [2, 3]}
    assert found.manifest["verb"] == "members"
    assert found.manifest["parameters"] == {"seed": 1}
    assert found.file("sub/weights.safetensors").read_bytes() == bytes(1000)
    assert found.folder == tmp_path / "pieces" / "01" / KEY
    with pytest.raises(ValueError, match=r"has no file 'x'; it has: scores\.json, sub/weights"):
        found.file("x")


@pytest.mark.parametrize("name", ["sub/weights.safetensors", "scores.json", "manifest.json"])
def test_one_flipped_bit_is_found_reported_and_recomputed(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path)
    folder = make(store).folder
    whole = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    flip_bit(folder / name)
    assert [line.startswith(f"piece {KEY}: {name} ") for line in store.check()] == [True]
    lines: list[str] = []
    _, made = store.make(KEY, build, verb="m", parameters={"seed": 1}, on_damage=lines.append)
    assert made
    assert len(lines) == 1 and lines[0].startswith(f"piece {KEY}: {name} ")
    assert store.check() == []
    del whole[folder / "manifest.json"]  # it names the verb, which was another
    assert {path: path.read_bytes() for path in whole} == whole
    assert left_over(store) == []


def test_damage_names_key_file_and_both_digests(tmp_path: Path) -> None:
    store = Store(tmp_path)
    piece = make(store)
    piece.file("scores.json").write_text("[2]")
    lines: list[str] = []
    assert store.find(KEY, on_damage=lines.append) is None
    assert lines == [
        f"piece {KEY}: scores.json has digest {digest_bytes(b'[2]')}; expected "
        f"{digest_bytes(b'[1]')}; it is removed and counts as missing"
    ]
    assert not piece.folder.exists()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / "scores.json").unlink(), "scores.json cannot be read (No such"),
        (
            lambda folder: (folder / "scores.json").write_text("[1"),
            "scores.json has 2 bytes; expected 3",
        ),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "manifest.json is not a"),
        (lambda folder: (folder / "manifest.json").write_text('{"key"'), "manifest.json is not a"),
    ],
)
def test_other_damage_is_told_to_the_log(
    tmp_path: Path, damage: Any, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    damage(make(store).folder)
    assert store.find(KEY) is None
    (record,) = caplog.records
    assert record.getMessage().startswith(f"piece {KEY}: {told}")
    assert record.getMessage().endswith("; it is removed and counts as missing")


def test_a_damaged_piece_that_is_being_made_anew_is_missing_and_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = make(store).folder
    flip_bit(folder / "scores.json")
    lines: list[str] = []

    def build_anew(temporary: Path) -> None:
        assert store.find(KEY, on_damage=lines.append) is None
        assert folder.is_dir()
        build(temporary)

    store.replace(KEY, build_anew, verb="members")
    assert lines == []
    assert store.find(KEY) is not None


def test_a_piece_under_another_key_is_damage(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = make(store).folder
    (tmp_path / "pieces" / "fe").mkdir()
    folder.rename(tmp_path / "pieces" / "fe" / OTHER)
    lines: list[str] = []
    assert store.find(OTHER, on_damage=lines.append) is None
    assert f"manifest.json is that of piece {KEY}" in lines[0]


def test_the_pieces_of_equal_builds_are_byte_equal(tmp_path: Path) -> None:
    one, two = make(Store(tmp_path / "1")), make(Store(tmp_path / "2"))
    for path in (path for path in one.folder.rglob("*") if path.is_file()):
        assert path.read_bytes() == (two.folder / path.relative_to(one.folder)).read_bytes()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("x")])
def test_a_build_that_raises_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def fails(folder: Path) -> None:
        build(folder)
        raise error

    store = Store(tmp_path)
    with pytest.raises(type(error)):
        store.make(KEY, fails, verb="members")
    assert store.find(KEY) is None
    assert left_over(store) == []
    make(store)


def test_a_full_disk_is_one_line_and_the_old_piece_stays(tmp_path: Path) -> None:
    def full(folder: Path) -> None:
        (folder / "half").write_bytes(b"x")
        raise OSError(errno.ENOSPC, "full")

    store = Store(tmp_path)
    make(store)
    with pytest.raises(UserError, match=r"no space left on device .* the old folder is untouched"):
        store.replace(KEY, full, verb="checkpoint")
    with pytest.raises(UserError, match=r"no space left on device .* nothing is left behind"):
        store.make(OTHER, full, verb="members")
    assert store.find(KEY) is not None
    assert left_over(store) == []


def test_values_must_be_finite_json(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ValueError, match=r"values\.loss is nan"):
        store.make(KEY, lambda _: {"loss": float("nan")}, verb="members")
    assert store.find(KEY) is None


def test_a_piece_holds_its_own_bytes(tmp_path: Path) -> None:
    def links(folder: Path) -> None:
        (folder / "x").symlink_to("/etc/hostname")

    def writes_manifest(folder: Path) -> None:
        (folder / "manifest.json").write_text("{}")

    for wrong in (links, writes_manifest):
        with pytest.raises(ValueError, match="a piece holds no links and no manifest"):
            Store(tmp_path).make(KEY, wrong, verb="members")


def test_replace_swaps_the_piece(tmp_path: Path) -> None:
    def checkpoint(step: int) -> Any:
        def write(folder: Path) -> Mapping[str, Any]:
            (folder / f"{step}").write_text("x")
            return {"step": step}

        return write

    store = Store(tmp_path)
    for step in (1, 2):
        assert store.replace(KEY, checkpoint(step), verb="checkpoint").values == {"step": step}
    found = store.find(KEY)
    assert found is not None
    assert found.values == {"step": 2}
    assert names_in(found.folder) == ["2", "manifest.json"]


def test_who_reads_while_it_is_replaced_sees_no_damage(tmp_path: Path) -> None:
    store, lines, stop = Store(tmp_path), list[str](), threading.Event()
    make(store)
    found: list[bool] = []

    def read() -> None:
        while not stop.is_set():
            found.append(Store(tmp_path).find(KEY, on_damage=lines.append) is not None)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(15):
        store.replace(KEY, build, verb="checkpoint")
    stop.set()
    reader.join()
    assert lines == []
    assert any(found)
    assert store.find(KEY) is not None


_BUILD = """
import os, sys, time
from pathlib import Path
from geocore.runs.digest import digest_bytes
from geocore.runs.store import Store

def build(folder):
    with open(sys.argv[2], "a") as log:
        log.write("built\\n")
    (folder / "half").write_bytes(bytes(1000))
    print("building", flush=True)
    if sys.argv[3] == "hang":
        time.sleep(60)
    time.sleep(0.3)

_, made = Store(Path(sys.argv[1])).make(sys.argv[4], build, verb="train", on_wait=print)
print("made" if made else "found")
"""


def builder(root: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _BUILD, str(root / "store"), str(root / "log"), how, KEY],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_build_a_piece_once(tmp_path: Path) -> None:
    processes = [builder(tmp_path, "quick") for _ in range(3)]
    outputs = [process.communicate(timeout=30)[0].splitlines() for process in processes]
    assert (tmp_path / "log").read_text() == "built\n"
    assert sorted(lines[-1] for lines in outputs) == ["found", "found", "made"]
    waits = [line for lines in outputs for line in lines if line.endswith("; waiting")]
    for line in waits:
        assert line.startswith(f"piece {KEY[:8]}.. is held by ")


def test_a_killed_builder_leaves_no_lock_and_nothing_to_be_taken_for_whole(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    process = builder(tmp_path, "hang")
    assert process.stdout is not None
    assert process.stdout.readline() == "building\n"
    # while it builds: not there, not in anybody's way
    assert store.find(KEY) is None
    assert store.gc([]) == (0, 0)
    assert len(left_over(store)) == 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert store.find(KEY) is None
    assert list(store.pieces()) == []
    assert store.check() == []
    waits: list[str] = []
    _, made = store.make(KEY, build, verb="members", on_wait=waits.append)
    assert made and waits == []
    assert store.gc([KEY]) == (0, 1000)  # what the dead one left half-written
    assert left_over(store) == []
    assert store.find(KEY) is not None


def test_gc_keeps_what_is_named_and_what_is_held(tmp_path: Path) -> None:
    store = Store(tmp_path)
    held = "a" * 32
    make(store)
    one = store.size()
    for key in (OTHER, held):
        make(store, key)
    assert store.size() == 3 * one
    with store._lock(held, "train"):
        assert store.gc({KEY}) == (1, one)
    assert [piece.key for piece in store.pieces()] == [KEY, held]
    assert store.gc({KEY}) == (1, one)
    assert store.size() == one
    assert names_in(tmp_path / "locks") == [f"{KEY}.lock"]


def test_pieces_skips_a_broken_manifest_and_gc_takes_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    make(store)
    (make(store, OTHER).folder / "manifest.json").write_text("{}")
    assert [piece.key for piece in store.pieces()] == [KEY]
    assert len(store.check()) == 1
    assert store.gc({KEY})[0] == 1
    assert store.check() == []


def test_remove(tmp_path: Path) -> None:
    store = Store(tmp_path)
    make(store)
    store.remove(KEY)
    store.remove(OTHER)
    assert store.find(KEY) is None


@pytest.mark.parametrize("key", ["", "../../etc", KEY[:-1], KEY.upper()])
def test_a_key_is_32_hex_characters(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="expected 32 hex characters"):
        Store(tmp_path).find(key)


def test_the_key_depends_on_everything_and_on_no_order() -> None:
    base: dict[str, Any] = {
        "parameters": {"lr": 0.1, "nside": 16},
        "inputs": {"train": "a", "test": "b"},
        "code": "c",
        "libraries": {"torch": "2.13.0"},
    }
    changes: list[dict[str, Any]] = [
        {"parameters": {"lr": 0.1, "nside": 32}},
        {"parameters": {"lr": 0.1}},
        {"inputs": {"train": "b", "test": "a"}},
        {"code": "d"},
        {"libraries": {"torch": "2.13.1"}},
        {"dtype": "float64"},
        {"device": "cuda"},
    ]
    keys = {piece_key("train", **{**base, **change}) for change in [{}, *changes]}
    keys.add(piece_key("ensemble", **base))
    assert len(keys) == len(changes) + 2
    again = {**base, "parameters": {"nside": 16, "lr": 0.1}}
    assert piece_key("train", **again) in keys


def test_the_key_counts_the_installed_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    before = piece_key("train", parameters={}, inputs={}, code="c")
    monkeypatch.setattr("geocore.runs.store.library_versions", lambda: {"torch": "0"})
    assert piece_key("train", parameters={}, inputs={}, code="c") != before


def test_the_key_refuses_what_is_no_value() -> None:
    with pytest.raises(ValueError, match=r"parameters\.lr is nan"):
        piece_key("train", parameters={"lr": float("nan")}, inputs={}, code="c")
    with pytest.raises(ValueError, match="device is 'cuda:0'; expected the class"):
        piece_key("train", parameters={}, inputs={}, code="c", device="cuda:0")
    with pytest.raises(ValueError, match="verb is empty"):
        piece_key("", parameters={}, inputs={}, code="c")


def test_nothing_numeric_is_imported() -> None:
    code = (
        "import sys, geocore.runs.ledger, geocore.runs.parts, geocore.runs.store\n"
        "geocore.runs.store.piece_key('x', parameters={}, inputs={}, code='c')\n"
        "print(*{'torch', 'numpy', 'pyarrow', 'prefect', 'dvc'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_the_manifest_can_be_read_by_anybody(tmp_path: Path) -> None:
    manifest = json.loads((make(Store(tmp_path)).folder / "manifest.json").read_text())
    assert sorted(manifest) == ["checksum", "files", "key", "parameters", "values", "verb"]
    assert sorted(manifest["files"]) == ["scores.json", "sub/weights.safetensors"]

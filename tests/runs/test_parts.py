"""Parts of an output under way: what was journalled is kept, all else is made again."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from geocore.errors import UserError
from geocore.runs.parts import Parts


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(parts: Parts, name: str, content: bytes) -> None:
    with parts.write(name) as temporary:
        temporary.write_bytes(content)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_new_process_finds_what_was_done(tmp_path: Path) -> None:
    fill(Parts(tmp_path / "key"), "part-000.arrow", b"0")
    again = Parts(tmp_path / "key")
    assert again.done("part-000.arrow")
    assert not again.done("part-001.arrow")


def test_a_flipped_bit_is_reported_and_the_part_made_again(tmp_path: Path) -> None:
    lines: list[str] = []
    parts = Parts(tmp_path / "key", on_damage=lines.append)
    fill(parts, "a", b"\x00\x01")
    (path,) = [p for p in (tmp_path / "key").rglob("a") if p.is_file()]
    path.write_bytes(b"\x00\x00")
    assert not parts.done("a")
    assert len(lines) == 1
    assert lines[0].startswith("part a of key: found digest ")
    assert parts.names() == []
    fill(parts, "a", b"\x00\x01")
    assert parts.done("a")


def test_a_part_without_its_journal_entry_is_not_done(tmp_path: Path) -> None:
    # killed between the rename and the journal
    parts = Parts(tmp_path / "key")
    fill(parts, "a", b"a")
    (journal,) = (tmp_path / "key").rglob("a.json")
    journal.unlink()
    assert not parts.done("a")
    fill(parts, "b", b"b")
    parts.move_into(tmp_path / "out")
    assert tree(tmp_path / "out") == {"b": b"b"}


def test_a_broken_journal_entry_costs_the_part_only(tmp_path: Path) -> None:
    lines: list[str] = []
    parts = Parts(tmp_path / "key", on_damage=lines.append)
    fill(parts, "a", b"a")
    (journal,) = (tmp_path / "key").rglob("a.json")
    journal.write_text('{"size"')
    assert not parts.done("a")
    assert lines == ["part a of key: its journal entry cannot be read; it is made again"]


def test_a_failed_write_is_not_done_and_leaves_nothing(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "key")
    with pytest.raises(UserError, match="no space left"), parts.write("a") as temporary:
        temporary.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "full")
    assert not parts.done("a")
    assert tree(tmp_path / "key") == {}


@pytest.mark.parametrize("links", [True, False])
def test_the_target_becomes_the_parts_and_the_work_area_goes(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:

        def across(*_: Any) -> None:
            raise OSError(errno.EXDEV, "another file system")

        monkeypatch.setattr(os, "link", across)
    target = tmp_path / "data" / "healpix"
    target.mkdir(parents=True)
    (target / "old").write_text("old")
    parts = Parts(tmp_path / "key")
    fill(parts, "a.arrow", b"a")
    fill(parts, "sub/b.arrow", b"b")
    assert parts.names() == ["a.arrow", "sub/b.arrow"]
    parts.move_into(target)
    assert tree(target) == {"a.arrow": b"a", "sub/b.arrow": b"b"}
    assert names_in(target.parent) == ["healpix"]
    assert not (tmp_path / "key").exists()


def test_the_last_output_takes_the_work_folder_along(tmp_path: Path) -> None:
    work, other = tmp_path / "work" / "key", tmp_path / "work" / "other"
    other.mkdir(parents=True)
    first, second = Parts(work / "first"), Parts(work / "second")
    for parts in (first, second):
        fill(parts, "a", b"a")
    first.move_into(tmp_path / "data" / "first")
    assert names_in(work) == ["second"]
    assert second.done("a")
    second.move_into(tmp_path / "data" / "second")
    assert names_in(tmp_path / "work") == ["other"]


def test_a_failed_move_leaves_target_and_parts_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_bytes(b"old")
    parts = Parts(tmp_path / "key")
    fill(parts, "a", b"a")
    fill(parts, "b", b"b")
    real = os.link

    def full(source: Path, destination: Path) -> None:
        if source.name == "b":
            raise OSError(errno.ENOSPC, "full")
        real(source, destination)

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        with pytest.raises(UserError, match="the old folder is untouched"):
            parts.move_into(target)
    assert tree(target) == {"old": b"old"}
    assert parts.done("a") and parts.done("b")
    parts.move_into(target)
    assert tree(target) == {"a": b"a", "b": b"b"}


def test_a_real_second_file_system(tmp_path: Path) -> None:
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK) or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    folder = shm / f"geocore-test-{os.getpid()}"
    try:
        parts = Parts(folder / "key")
        fill(parts, "a", b"a")
        parts.move_into(tmp_path / "out")
        assert tree(tmp_path / "out") == {"a": b"a"}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("name", ["", "../x", "/x", ".x", "a/.b"])
def test_a_name_stays_inside(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="expected a relative path"):
        Parts(tmp_path).done(name)


def test_nothing_to_move_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no parts to move"):
        Parts(tmp_path / "key").move_into(tmp_path / "out")

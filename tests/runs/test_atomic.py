"""Atomic writes: on success the new, on any error the old, and never a temporary left behind."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest

from geocore.errors import UserError
from geocore.runs import atomic
from geocore.runs.atomic import (
    beside,
    discard,
    disk_error,
    remove_stale,
    replacing,
    reserve,
    write_bytes,
    write_json,
    write_text,
)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def dead_process() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def write_folder(folder: Path, content: str) -> None:
    with replacing(folder) as temporary:
        (temporary / "sub").mkdir(parents=True)
        (temporary / "sub" / "x").write_text(content)


def test_a_file_is_written_and_replaced_with_its_parents(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.json"
    write_json(path, {"b": 0.1, "a": [1, None]})
    assert path.read_text() == '{\n  "a": [\n    1,\n    null\n  ],\n  "b": 0.1\n}\n'
    write_text(path, "å\r\n")
    assert path.read_bytes() == b"\xc3\xa5\r\n"
    assert names_in(path.parent) == ["x.json"]


def test_nan_is_refused_with_the_file_and_the_key(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"loss": 1.0})
    with pytest.raises(ValueError, match=r"metrics\.json: loss is nan; JSON takes finite numbers"):
        write_json(path, {"loss": float("nan")})
    assert path.read_text() == '{\n  "loss": 1.0\n}\n'


def test_the_bytes_are_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, synced = tmp_path / "out", list[tuple[int, bool]]()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_ino, folder.exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_folder(folder, "x")
    inode = {path: path.stat().st_ino for path in (tmp_path, folder, *folder.rglob("*"))}
    before = [inode[path] for path in (folder / "sub" / "x", folder / "sub", folder)]
    assert synced == [*((number, False) for number in before), (inode[tmp_path], True)]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_as_a_whole(
    tmp_path: Path, exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:  # a system that cannot swap two names
        monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    folder = tmp_path / "out"
    write_folder(folder, "old")
    (folder / "stays?").write_text("")
    write_folder(folder, "new")
    assert [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*"))] == ["sub", "sub/x"]
    assert (folder / "sub" / "x").read_text() == "new"
    write_bytes(folder, b"a file now")
    assert folder.read_bytes() == b"a file now"
    assert names_in(tmp_path) == ["out"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="renameat2 is Linux's")
def test_the_folder_is_never_missing_while_it_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_folder(folder, "0")
    watcher = subprocess.Popen(
        [sys.executable, "-c", _WATCH, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert watcher.stdin is not None and watcher.stdout is not None
    assert watcher.stdout.readline() == b"watching\n"
    for content in range(20):
        write_folder(folder, str(content))
    watcher.stdin.close()
    assert watcher.stdout.read() == b"missing 0 times\n"
    watcher.stdout.close()
    assert watcher.wait() == 0


_WATCH = """
import os, select, sys
print("watching", flush=True)
missing = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    missing += sum(not os.path.isdir(sys.argv[1]) for _ in range(100))
print("missing", missing, "times")
"""


def test_an_error_leaves_the_old_whole_and_no_temporary(tmp_path: Path) -> None:
    folder, path = tmp_path / "out", tmp_path / "x"
    write_folder(folder, "old")
    write_text(path, "old")
    for target in (folder, path):
        with pytest.raises(KeyboardInterrupt), replacing(target) as temporary:
            temporary.mkdir()
            (temporary / "half").write_text("new")
            raise KeyboardInterrupt
    assert (folder / "sub" / "x").read_text() == path.read_text() == "old"
    assert names_in(tmp_path) == ["out", "x"]


def test_a_link_is_replaced_not_what_it_points_to(tmp_path: Path) -> None:
    cached, path = tmp_path / "cached", tmp_path / "out"
    write_text(cached, "old")
    path.symlink_to(cached)
    write_text(path, "new")
    assert (cached.read_text(), path.read_text(), path.is_symlink()) == ("old", "new", False)


def test_writing_nothing_is_an_error_of_the_code(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match="x: nothing was written"),
        replacing(tmp_path / "x"),
    ):
        pass


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "full"), "no space left on device while writing x.json ("),
        (OSError(errno.EDQUOT, "quota"), "disk quota exceeded while writing x.json;"),
        (OSError(errno.EROFS, "ro"), "the file system is read-only while writing x.json;"),
        (PermissionError(errno.EACCES, "no"), "permission denied while writing x.json;"),
        # safetensors' words, whose writer is Rust
        (
            RuntimeError("Error while serializing: No space left on device (os error 28)"),
            "no space left on device while writing x.json (",
        ),
    ],
)
def test_what_the_disk_refuses_is_one_line(
    tmp_path: Path, error: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.json"
    for old, left in ((None, "nothing is left behind"), ("old", "the old file is untouched")):
        if old is not None:
            write_text(path, old)
        with pytest.raises(UserError) as caught, replacing(path) as temporary:
            temporary.write_text("half")
            raise error
        assert str(caught.value).startswith(told)
        assert str(caught.value).endswith(f"; {left}")
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["x.json"]


def test_a_refusal_elsewhere_is_not_about_this_file(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), replacing(tmp_path / "x"):
        raise PermissionError(errno.EACCES, "no", "/elsewhere/input.arrow")
    with pytest.raises(OSError, match="odd"), replacing(tmp_path / "x"):
        raise OSError(errno.EIO, "odd")


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on device"),
        (OSError(errno.EFBIG, "File too large", "TARGET"), "the limit on the size of files"),
        (PermissionError(errno.EACCES, "Permission denied", "TARGET"), "permission denied"),
        (PermissionError(errno.EACCES, "Permission denied", "SOURCE"), None),
        (OSError(errno.EIO, "Input/output error"), None),
    ],
)
def test_a_copied_folder_that_is_refused_is_one_line(
    tmp_path: Path, refused: OSError, told: str | None
) -> None:
    """The copy goes on after an error; all of them are raised at its end, as text."""
    source, target = tmp_path / "from", tmp_path / "to" / "folder"
    write_folder(source, "x")

    def copy(old: str, new: str) -> None:
        refused.filename = {"SOURCE": old, "TARGET": new}.get(refused.filename)
        raise refused

    expected = UserError if told else shutil.Error
    with pytest.raises(expected) as caught, replacing(target) as temporary:
        shutil.copytree(source, temporary, copy_function=copy)
    if told:
        assert str(caught.value).startswith(f"{told} ")
    assert names_in(target.parent) == []


def test_of_all_that_a_copy_was_refused_the_disks_refusal_is_told() -> None:
    out, unread = Path("/data/out"), ("/in/it's", "/data/out/it's", '[Errno 13] no: "/in/it\'s"')
    assert disk_error(shutil.Error([unread]), out) is None, "that is about the source"
    full = ("/in/b", "/data/out/b", "[Errno 28] No space left on device")
    told = disk_error(shutil.Error([unread, full]), out)
    assert told is not None and str(told).startswith("no space left on device ")
    mine = ("/in/b", "/data/out/it's", '[Errno 13] no: "/data/out/it\'s"')
    assert str(disk_error(shutil.Error([mine]), out)).startswith("permission denied ")
    for odd in (shutil.Error(), shutil.Error("same file"), shutil.Error([])):
        assert disk_error(odd, out) is None


def test_room_for_an_empty_file_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    reserve(tmp_path / "empty")
    assert (tmp_path / "empty").stat().st_size == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True)
    except OSError:
        pytest.skip("no mount here")
    if done.returncode:
        pytest.skip("only root may mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_old_files_whole(small_disk: Path) -> None:
    path, folder = small_disk / "x.json", small_disk / "out"
    write_json(path, {"kept": "x" * 10_000})
    write_folder(folder, "kept")
    before = path.read_bytes()
    with pytest.raises(UserError) as caught:
        write_json(path, {"kept": "y" * 70_000})
    # 64 KiB less three pages of x.json and one of out/sub/x
    assert str(caught.value) == (
        f"no space left on device while writing {path} (48 KiB free); the old file is untouched"
    )
    with pytest.raises(UserError, match=r"\(48 KiB free\); the old folder is untouched"):
        write_folder(folder, "y" * 70_000)
    assert path.read_bytes() == before
    assert (folder / "sub" / "x").read_text() == "kept"
    assert names_in(small_disk) == ["out", "x.json"]


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot reserve")
def test_room_for_a_file_with_a_hole_is_taken_or_refused(small_disk: Path) -> None:
    for size in (32 * 1024, 128 * 1024):  # of 64 KiB
        path = small_disk / str(size)
        path.touch()
        os.truncate(path, size)
        assert path.stat().st_blocks == 0
        if size < 64 * 1024:
            reserve(path)
            assert path.stat().st_blocks * 512 == size == path.stat().st_size
        else:
            with pytest.raises(OSError) as caught:
                reserve(path)
            assert caught.value.errno == errno.ENOSPC


def test_a_read_only_disk_is_one_line(small_disk: Path) -> None:
    path = small_disk / "x.json"
    write_text(path, "old")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for target, left in ((path, "the old file is untouched"), (small_disk / "new", "nothing is")):
        with pytest.raises(UserError) as caught:
            write_text(target, "new")
        told = f"the file system is read-only while writing {target}; {left}"
        assert str(caught.value).startswith(told)
    assert path.read_text() == "old"


def test_a_refused_removal_does_not_hide_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "ro")

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(os, "unlink", refuse)
    told = "the file system is read-only while writing"
    with pytest.raises(UserError, match=told), replacing(tmp_path / "x"):
        raise OSError(errno.EROFS, "ro")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "x"):
        raise KeyboardInterrupt


def left_by(pid: int, path: Path, kind: Literal["tmp", "old"] = "tmp") -> Path:
    """A name as that process of this machine gives it."""
    own = beside(path, kind)
    return own.with_name(own.name.replace(f"-{os.getpid()}-", f"-{pid}-"))


def test_only_the_dead_leave_stale_temporaries(tmp_path: Path) -> None:
    dead = dead_process()
    mine = beside(tmp_path / "x")
    mine.write_text("alive")
    left_by(dead, tmp_path / "x").write_text("12345")
    gone = left_by(dead, tmp_path / "out")
    gone.mkdir()
    (gone / "half").write_text("123")
    (tmp_path / ".x.tmp-notes").write_text("somebody's own")
    assert remove_stale(tmp_path) == (2, 8)
    assert names_in(tmp_path) == sorted([mine.name, ".x.tmp-notes"])


def test_an_old_folder_without_its_successor_is_put_back(tmp_path: Path) -> None:
    dead = dead_process()
    for name in ("lost", "there"):
        left_by(dead, tmp_path / name, "old").write_text("old")
    (tmp_path / "there").write_text("new")
    remove_stale(tmp_path)
    assert (tmp_path / "lost").read_text() == "old"
    assert (tmp_path / "there").read_text() == "new"
    assert names_in(tmp_path) == ["lost", "there"]


def test_what_another_machine_left_goes_only_when_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = dead_process()
    mine: list[str] = []
    with monkeypatch.context() as context:
        context.setattr("platform.node", lambda: "another-machine")
        for name in ("young", "second", "third"):  # as that machine names them
            with suppress(KeyboardInterrupt), replacing(tmp_path / name) as temporary:
                temporary.mkdir()
                mine.append(temporary.name)
                raise KeyboardInterrupt
    names = [name.replace(f"-{os.getpid()}-", f"-{dead}-") for name in mine]
    aside = names[0].replace(".tmp-", ".old-")
    for name in [*names, aside]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("123")
    for path in (tmp_path / names[1] / "half", tmp_path / names[1]):
        os.utime(path, (0, 0))  # as a copy has it that keeps its source's times
    assert remove_stale(tmp_path) == (0, 0)
    now = time.time()
    with monkeypatch.context() as context:
        context.setattr("geocore.runs.atomic.time.time", lambda: now + 29 * 86400)
        assert remove_stale(tmp_path) == (0, 0)
    assert names_in(tmp_path) == sorted([*names, aside])
    for name in (names[1], names[2]):
        shutil.copytree(tmp_path / name, tmp_path / "kept" / name)
    with monkeypatch.context() as context:
        context.setattr("geocore.runs.atomic.time.time", lambda: now + 31 * 86400)
        assert remove_stale(tmp_path)[0] == 3
    assert names_in(tmp_path) == ["kept", "young"], "what was set aside is put back"
    (tmp_path / "young").rename(tmp_path / aside)
    for name in (names[1], names[2]):
        (tmp_path / "kept" / name).rename(tmp_path / name)
    (tmp_path / "kept").rmdir()
    # The same names, on the machine that wrote them.
    monkeypatch.setattr("platform.node", lambda: "another-machine")
    assert remove_stale(tmp_path) == (2, 6), "there it is known that the process is dead"
    assert names_in(tmp_path) == ["young"], "and what was set aside is put back"


def test_discard_takes_files_folders_and_nothing(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", "x")
    write_text(tmp_path / "x", "x")
    for name in ("out", "x", "missing"):
        discard(tmp_path / name)
    assert names_in(tmp_path) == []

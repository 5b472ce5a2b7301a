"""Where ``-o`` may point, and what is said of where it may not."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from geocore.cli.target import check_target, is_stdout, write_target
from geocore.errors import UserError

ROOT = Path(__file__).parents[2]
PAGE = "<p>\N{MINUS SIGN}1</p>\n"
LONG = "x" * 300
EXPECTED = "expected a file that can be written, as in compare.html"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    for name in ("there.html", "new.html"):
        (tmp_path / name).symlink_to(tmp_path / "far" / name)
    (tmp_path / "far/there.html").write_text("old")
    for name in ("there.html", "new.html"):
        check_target(tmp_path / name, as_json=False)
        write_target(tmp_path / name, PAGE)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "far" / name).read_text(encoding="utf-8") == PAGE
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == sorted(
        2 * ["there.html", "new.html"]
    )


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text("utf-8")), daemon=True)
    reader.start()
    check_target(pipe, as_json=False)
    write_target(pipe, PAGE)
    reader.join(timeout=20)
    assert read == [PAGE]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_file_that_somebody_holds_open_is_written_into(tmp_path: Path) -> None:
    with (tmp_path / "held").open("w+", encoding="utf-8") as held:
        write_target(Path(f"/dev/fd/{held.fileno()}"), PAGE)
        assert held.read() == PAGE


@pytest.mark.parametrize("piped", [True, False])
def test_standard_output(tmp_path: Path, piped: bool) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from geocore.cli.target import is_stdout, write_target\n"
        "out = Path(sys.argv[3]); assert is_stdout(out)\n"
        "print('before'); write_target(out, sys.argv[2]); print('after')"
    )
    # As /dev/stdout is one: a fault must not cost the machine its own.
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    command = [sys.executable, "-c", code, str(ROOT), PAGE, str(tmp_path / "stdout")]
    if piped:
        told = subprocess.run(command, capture_output=True, check=True).stdout
    else:
        with (tmp_path / "out").open("wb") as out:
            subprocess.run(command, stdout=out, check=True)
        told = (tmp_path / "out").read_bytes()
    assert told.decode("utf-8") == f"before\n{PAGE}after\n"
    assert (tmp_path / "stdout").is_symlink()
    assert not is_stdout(tmp_path)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "a folder; expected a file's name, as in compare.html"),
        ("file/x.html", f"not a directory; {EXPECTED}"),
        (LONG, f"file name too long; {EXPECTED}"),
        ("loop", f"too many levels of symbolic links; {EXPECTED}"),
    ],
)
def test_what_takes_no_page_is_told_beforehand(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "loop").symlink_to("loop")
    path = tmp_path / name if name else tmp_path
    with pytest.raises(UserError) as caught:
        check_target(path, as_json=False)
    assert caught.value.lines == (f"-o {path}: {told}",)
    if name:
        with pytest.raises(UserError) as caught:
            write_target(path, PAGE)
        assert len(caught.value.lines) == 1
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("name", ["/proc/x.html", "/proc/a/b/x.html", "x" * 250])
def test_what_shows_only_in_writing_is_a_line(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        check_target(Path(name), as_json=False)
        write_target(Path(name), PAGE)
    (line,) = caught.value.lines
    assert line.startswith(f"-o {name}: ")
    assert line.endswith(EXPECTED)
    assert list(tmp_path.iterdir()) == []

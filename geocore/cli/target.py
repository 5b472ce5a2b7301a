"""Where ``-o`` points: a file to be, a link to one, standard output, a pipe; or nowhere."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from geocore.errors import UserError

__all__ = ["check_target", "is_stdout", "write_target"]

_EXPECTED = "expected a file that can be written, as in compare.html"
_DESCRIPTORS = "/proc/"  # where Linux keeps the links of open files, /dev/stdout among them


def check_target(path: Path, *, as_json: bool) -> None:
    """Raise ``UserError`` in one line for what is known beforehand to take no page."""
    real = Path(os.path.realpath(path))
    try:
        folder = stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        folder = False
        above = next(parent for parent in real.parents if parent.exists())
        if not os.access(above, os.W_OK | os.X_OK):
            raise _refusal(path, PermissionError(errno.EACCES, "Permission denied")) from None
    except OSError as error:
        raise _refusal(path, error) from None
    if folder:
        raise UserError(f"-o {path}: a folder; expected a file's name, as in compare.html")
    if as_json and is_stdout(path):
        raise UserError(f"-o {path}: standard output, where --json writes; {_EXPECTED}")


def is_stdout(path: Path) -> bool:
    """Whether the path is what standard output goes to."""
    try:
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):
        return False


def write_target(path: Path, text: str) -> None:
    """Write ``text`` there: a file whole or not at all, through links; into all else as it is.

    Raises ``UserError`` in one line where that fails.
    """
    from geocore.runs.atomic import write_text

    try:
        with suppress(FileNotFoundError):
            path.stat()  # else a link to itself would be replaced
        if is_stdout(path):
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode("utf-8"))
            sys.stdout.flush()
        elif _is_open_file(path) or (path.exists() and not path.is_file()):
            path.write_bytes(text.encode("utf-8"))
        else:
            write_text(Path(os.path.realpath(path)), text)
    except OSError as error:
        raise _refusal(path, error) from None


def _is_open_file(path: Path) -> bool:
    """Whether somebody holds it open under that name: a new file in its place would not be his."""
    pointed = path.readlink() if path.is_symlink() else path
    folders = (os.fspath(pointed.parent), os.path.realpath(path.parent))
    return any(f"{folder}/".startswith(_DESCRIPTORS) for folder in folders)


def _refusal(path: Path, error: OSError) -> UserError:
    told = (error.strerror or type(error).__name__).lower()
    return UserError(f"-o {path}: {told}; {_EXPECTED}")

"""Writes that are whole or have not happened: a temporary beside the target, fsync, rename."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from geocore.errors import UserError
from geocore.runs.canonical import canonical_json
from geocore.runs.processes import alive

__all__ = [
    "beside",
    "discard",
    "disk_error",
    "remove_stale",
    "replacing",
    "reserve",
    "tree_size",
    "write_bytes",
    "write_json",
    "write_text",
]

_LEFTOVER = re.compile(
    r"\.(?P<name>.+)\.(?P<kind>tmp|old)-(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}"
)
_OLD = 30 * 86400.0  # seconds without a change, after which nobody works on it on any machine
_OS_ERROR = re.compile(r"\(os error (?P<number>\d+)\)")
_COPY_ERROR = re.compile(r"\[Errno (?P<number>\d+)\]")
_REASONS = {
    errno.ENOSPC: "no space left on device",
    errno.EDQUOT: "disk quota exceeded",
    errno.EFBIG: "the limit on the size of files (ulimit -f) is reached",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path; what is created there takes the place of ``path`` on a clean exit.

    The temporary lies in the same folder (created if need be) and may become a file or a folder.
    Its name is ``.NAME.tmp-HOST-PID-xxxx``, without the suffix: tell a writer that goes by
    suffixes which format is meant. On a clean exit it is fsynced and renamed into place; on any
    error it is removed and the old stays whole. A full disk, an exceeded quota or limit, a
    read-only file system and a refused permission raise ``UserError``; ``FileNotFoundError`` if
    nothing was created.
    """
    path = Path(path)
    temporary = beside(path, "tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if not os.path.lexists(temporary):
            raise FileNotFoundError(f"{path}: nothing was written to its temporary {temporary}")
        _fsync_tree(temporary)
        _move_in(temporary, path)
    except BaseException as error:
        with suppress(OSError):  # a read-only disk refuses this too: the first error is told
            _remove(temporary)
        told = disk_error(error, path)
        if told is None:
            raise
        raise told from error
    _fsync(path.parent)


def reserve(path: Path) -> None:
    """Take room on the disk for all of a file that is to be written through a memory map.

    Such a file begins as a hole, and a process that writes into it is killed (SIGBUS), without a
    word, where the disk is full by then. Here a full disk is an ``OSError``. Does nothing where the
    system or the file system cannot do it (macOS), and for an empty file.
    """
    size = path.stat().st_size
    if size and hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                    raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` atomically as UTF-8, line ends as they are."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` atomically as canonical JSON: sorted keys, indent 2, a trailing newline.

    Floats are written by ``repr`` and come back equal. Raises ``ValueError`` for NaN and
    infinities, ``TypeError`` for what JSON does not hold; both name the file and the key.
    """
    try:
        text = canonical_json(value, indent=2)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: {error}") from error
    write_text(path, text + "\n")


def discard(path: Path) -> None:
    """Remove a file or a folder, in one step for whoever looks: the name first, then the bytes."""
    path = Path(path)
    if os.path.lexists(path):
        aside = beside(path, "tmp")
        path.rename(aside)
        _remove(aside)


def beside(path: Path, kind: Literal["tmp", "old"] = "tmp") -> Path:
    """``.NAME.KIND-HOST-PID-xxxx`` in the folder of ``path``: a name that is new, and that
    ``remove_stale`` knows by this process.
    """
    owner = f"{_this_host()}-{os.getpid()}"
    return path.with_name(f".{path.name}.{kind}-{owner}-{secrets.token_hex(4)}")


def remove_stale(folder: Path) -> tuple[int, int]:
    """Remove what dead processes left in ``folder``; return how many, how large.

    Whether a process of this machine lives is known. Of another, with which the folder is shared,
    it is not: what is its own stays until nothing in it has changed for 30 days. An old folder that
    was set aside, and whose successor never arrived, is put back instead.
    """
    count = size = 0
    for entry in sorted(Path(folder).glob(".*")):
        match = _LEFTOVER.fullmatch(entry.name)
        if match is None:
            continue
        ours = match["host"] == _this_host()
        if alive(int(match["pid"])) if ours else not _is_old(entry):
            continue
        target = entry.with_name(match["name"])
        if match["kind"] == "old" and not os.path.lexists(target):
            entry.rename(target)
            continue
        count, size = count + 1, size + tree_size(entry)
        _remove(entry)
    return count, size


def tree_size(path: Path) -> int:
    """Bytes in a file, or in all files below a folder; links count as links."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size if os.path.lexists(path) else 0
    return sum(
        Path(parent, name).lstat().st_size for parent, _, names in os.walk(path) for name in names
    )


def disk_error(error: BaseException, path: Path) -> UserError | None:
    """What the disk refused while ``path`` was written, as one line; None for any other error.

    Libraries written in Rust, and ``shutil.copytree``, put the error number into their message: it
    is read from there.
    """
    if isinstance(error, UserError):
        return None
    for number, named in _refusals(error):
        # A refusal elsewhere (an input that may not be read) is not about this path.
        elsewhere = number == errno.EACCES and named and not _is_about(named, path)
        if number in _REASONS and not elsewhere:
            break
    else:
        return None
    free = f" ({_free(path)} free)" if number == errno.ENOSPC else ""
    kind = "folder" if path.is_dir() else "file"
    left = f"the old {kind} is untouched" if os.path.lexists(path) else "nothing is left behind"
    return UserError(f"{_REASONS[number]} while writing {_shown(path)}{free}; {left}")


def _refusals(error: BaseException) -> Iterator[tuple[int | None, str | None]]:
    """The number of each of the system's errors in it, and the file that it names."""
    if isinstance(error, shutil.Error):
        entries = error.args[0] if error.args and isinstance(error.args[0], list) else ()
        for source, target, why in entries:
            if found := _COPY_ERROR.search(str(why)):
                names = (str(name) for name in (source, target) if repr(str(name)) in str(why))
                yield int(found["number"]), next(names, None)
    elif isinstance(error, OSError):
        yield error.errno, None if error.filename is None else str(error.filename)
    elif isinstance(error, Exception) and (found := _OS_ERROR.search(str(error))):
        yield int(found["number"]), None


def _this_host() -> str:
    """Eight hex digits for whatever numbers the processes: the machine, or a container on it."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not on macOS
        space = ""
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _is_old(path: Path) -> bool:
    """Whether nothing in the file or folder has changed for so long that nobody can mean it."""
    try:
        below = (Path(at, name) for at, _, names in os.walk(path) for name in [*names, "."])
        newest = max(entry.lstat().st_ctime for entry in [path, *below])
    except OSError:  # it goes while we look
        return False
    return time.time() - newest > _OLD


def _is_about(name: str, path: Path) -> bool:
    """True for what lies beside ``path``, below that, and for the folders above."""
    named, whole = Path(name).absolute(), path.absolute()
    return named.is_relative_to(whole.parent) or whole.is_relative_to(named)


def _shown(path: Path) -> str:
    here, whole = Path.cwd(), path.absolute()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else whole)


def _free(path: Path) -> str:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    found = os.statvfs(folder)
    if found.f_files and not found.f_favail:
        return "no inodes"
    kib = found.f_bavail * found.f_frsize // 1024
    return f"{kib} KiB" if kib < 10240 else f"{kib // 1024} MiB"


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fsync_tree(path: Path) -> None:
    if path.is_symlink():
        return
    if path.is_dir():
        for entry in path.iterdir():
            _fsync_tree(entry)
    _fsync(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _move_in(temporary: Path, path: Path) -> None:
    """Rename ``temporary`` to ``path``; if one is a folder, swap the two and drop the old."""
    if not os.path.lexists(path) or not (temporary.is_dir() or path.is_dir()):
        temporary.replace(path)
        return
    if _exchange(temporary, path):
        _remove(temporary)
        return
    aside = beside(path, "old")
    path.rename(aside)
    try:
        temporary.rename(path)
    except BaseException:
        aside.rename(path)
        raise
    _remove(aside)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two names in one step (Linux's renameat2); False where the system cannot.

    Two renames would leave a moment with no folder at all: a kill there would lose a checkpoint.
    """
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    if renameat2 is None:
        return False
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(renameat2(here, os.fsencode(first), here, os.fsencode(second), swap) == 0)

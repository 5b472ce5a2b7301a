"""One kernel lock per file name, which dies with its process."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from geocore.errors import UserError
from geocore.runs.atomic import disk_error
from geocore.runs.processes import alive

__all__ = ["HeldError", "hold"]


class HeldError(UserError):
    """Somebody else holds the lock."""


@dataclass(frozen=True)
class _Held:
    path: str
    pid: int
    thread: int


_held: set[_Held] = set()
_descriptors: set[int] = set()


def _close_in_child() -> None:
    # A forked child shares the parent's lock: it would keep it when the parent is killed.
    for descriptor in _descriptors:
        with suppress(OSError):
            os.close(descriptor)
    _descriptors.clear()
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)


@contextmanager
def hold(
    path: Path,
    holder: str,
    *,
    wait: bool = True,
    on_wait: Callable[[str], None] | None = None,
    what: str | None = None,
) -> Iterator[None]:
    """Hold the exclusive ``flock`` on ``path`` for the length of the block.

    The file says who holds it (``{"pid", "holder"}``). If it is taken, ``on_wait`` is called once
    with the line ``WHAT is held by 'HOLDER' (process PID); waiting``; with ``wait=False`` that
    line is raised as ``HeldError`` (a ``UserError``). ``what`` names what the lock guards and
    defaults to the file's name. Threads exclude one another; a thread that would wait for itself
    raises ``RuntimeError``. Whoever holds the lock may remove its
    file: a waiter notices, and takes the lock of the new file.
    """
    path = Path(path)
    me = _Held(str(path.absolute()), os.getpid(), threading.get_ident())
    if me in _held and wait:
        raise RuntimeError(f"{path} is held by this very thread: it would wait for itself")
    descriptor = _acquire(path, wait, on_wait, what or path.name)
    _held.add(me)
    try:
        _sign(descriptor, holder)
        yield
    finally:
        if os.getpid() == me.pid:  # a forked child that leaves the block owns nothing here
            _held.discard(me)
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
            _close(descriptor)


def _acquire(path: Path, wait: bool, on_wait: Callable[[str], None] | None, what: str) -> int:
    while True:
        descriptor = _open(path)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                line = f"{what} is held by {_signature(descriptor)}"
                if not wait:
                    raise HeldError(line) from None
                if on_wait is not None:
                    on_wait(f"{line}; waiting")
                    on_wait = None
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_current(descriptor, path):
                return descriptor
        except BaseException:
            _close(descriptor)
            raise
        _close(descriptor)  # removed while we waited: the name now means another file, or none


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        told = disk_error(error, path)
        if told is None:
            raise
        raise told from error
    _descriptors.add(descriptor)
    return descriptor


def _close(descriptor: int) -> None:
    _descriptors.discard(descriptor)
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not enough if a child shares it
    os.close(descriptor)


def _is_current(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _sign(descriptor: int, holder: str) -> None:
    with suppress(OSError):  # a full disk: the lock holds all the same, only nameless
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "holder": holder}).encode(), 0)


def _signature(descriptor: int) -> str:
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
        if alive(found["pid"]):
            return f"{found['holder']!r} (process {found['pid']})"
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return "another process"  # it has the lock and has not signed yet

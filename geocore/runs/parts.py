"""An output under way: its parts are kept as they get done, so a killed stage goes on."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from geocore.config.foreign_json import parse_json
from geocore.runs.atomic import remove_stale, replacing, write_json
from geocore.runs.digest import digest_file

__all__ = ["Parts"]

_log = logging.getLogger(__name__)

# What hard links answer across file systems, and where there are none.
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP)


class Parts:
    """The work area ``folder`` of one output: named files, each with a journal entry when whole.

    Give each computation a folder of its own (``work_folder(root) / key``): parts made by other
    code or from other inputs must not meet here. ``on_damage`` gets one line for each part that
    is discarded (the log by default). Several processes may write different parts at once.
    """

    def __init__(self, folder: Path, on_damage: Callable[[str], None] | None = None) -> None:
        self.folder = Path(folder)
        self._report = _log.warning if on_damage is None else on_damage

    def noted(self, name: str) -> str | None:
        """The digest that the journal has for the part; None where it has none that can be read.

        The part itself is not looked at: whoever believes it reads it, and compares.
        """
        try:
            digest = parse_json(self._paths(name)[1].read_bytes())["digest"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return digest if isinstance(digest, str) else None

    def done(self, name: str) -> bool:
        """True if the part is there and its size and digest are those of the journal.

        A part that differs from its journal entry is reported and discarded.
        """
        path, journal = self._paths(name)
        if not journal.is_file():
            return False
        damage = _damage(path, journal)
        if damage is None:
            return True
        self._report(f"part {name} of {self.folder.name}: {damage}; it is made again")
        journal.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        return False

    @contextmanager
    def write(self, name: str) -> Iterator[Path]:
        """Yield a temporary path for the part; on a clean exit it is kept and journalled.

        Raises as ``replacing`` does. A part of that name that was done before is not, from the
        start of the block to its end.
        """
        path, journal = self._paths(name)
        journal.unlink(missing_ok=True)
        with replacing(path) as temporary:
            yield temporary
        write_json(journal, {"size": path.stat().st_size, "digest": digest_file(path)})

    def names(self) -> list[str]:
        """The journalled parts, sorted."""
        root = self.folder / "journal"
        found = (path.relative_to(root).as_posix() for path in root.rglob("[!.]*.json"))
        return sorted(name.removesuffix(".json") for name in found)

    def move_into(self, target: Path) -> None:
        """Make ``target`` a folder with exactly the journalled parts, and drop the work area.

        The folder is built beside ``target`` from hard links (copies across file systems) and
        takes its place in one step: whatever goes wrong, the parts and the old target are whole.
        The folder above the work area goes too once it is empty. Raises ``ValueError`` if there
        are no parts.
        """
        target, names = Path(target), self.names()
        if not names:
            raise ValueError(f"{self.folder}: no parts to move into {target}")
        if target.parent.is_dir():
            remove_stale(target.parent)
        with replacing(target) as temporary:
            temporary.mkdir()
            for name in names:
                path, _ = self._paths(name)
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                _link(path, temporary / name)
        shutil.rmtree(self.folder)
        with suppress(OSError):  # other outputs of the computation are still under way
            self.folder.parent.rmdir()

    def _paths(self, name: str) -> tuple[Path, Path]:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or any(part.startswith(".") for part in parts):
            raise ValueError(f"name is {name!r}; expected a relative path without dotted parts")
        return self.folder / "parts" / name, self.folder / "journal" / f"{name}.json"


def _damage(path: Path, journal: Path) -> str | None:
    try:
        entry = parse_json(journal.read_bytes())
        size, digest = entry["size"], entry["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return "its journal entry cannot be read"
    try:
        if path.stat().st_size != size:
            return f"found {path.stat().st_size} bytes; expected {size}"
        found = digest_file(path)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return None if found == digest else f"found digest {found}; expected {digest}"


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(path, target)

"""``dvc.lock`` and the cache that its digests point into, read without DVC."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geocore.config.foreign_json import parse_json
from geocore.config.load import leaves, parse_yaml
from geocore.errors import UserError

__all__ = ["CODE", "Cache", "Lock", "Locked", "is_code", "parse_lock"]

CODE = ("geocore", "flows", "tasks")

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_LARGEST = 32 * 2**20  # bytes of a file of the cache that is read whole


@dataclass(frozen=True)
class Locked:
    """What one stage last read and gave: path -> md5 of ``deps`` and ``outs``, ``params``."""

    deps: Mapping[str, str] = field(default_factory=dict)
    outs: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lock:
    """The stages, each as it last ran: two may have read different versions of one file."""

    stages: Mapping[str, Locked] = field(default_factory=dict)

    @property
    def outs(self) -> dict[str, str]:
        """Path -> md5 of what the stages gave."""
        return {path: md5 for stage in self.stages.values() for path, md5 in stage.outs.items()}

    def code(self) -> set[str]:
        """The dependencies that are code: files, and folders of files."""
        return {path for stage in self.stages.values() for path in stage.deps if is_code(path)}

    def sources(self) -> set[str]:
        """The data that a stage reads and none makes."""
        outs = self.outs
        within = tuple(f"{path}/" for path in outs)
        return {path for path in self.data() if path not in outs and not path.startswith(within)}

    def source_digests(self) -> dict[str, str]:
        """Path -> md5 of those sources, as they were read last."""
        known = self.data()
        return {path: known[path] for path in sorted(self.sources())}

    def data(self) -> dict[str, str]:
        """All files and folders but for code that the stages read and gave: path -> md5."""
        read = {path: md5 for stage in self.stages.values() for path, md5 in stage.deps.items()}
        return {path: md5 for path, md5 in read.items() if not is_code(path)} | self.outs


def parse_lock(text: str, owner: str) -> Lock:
    """The ``dvc.lock`` of ``owner``, from its text; a ``UserError`` in one line if it is none."""
    where = f"{owner}: dvc.lock"
    stages: dict[str, Locked] = {}
    try:
        for name, stage in (parse_yaml(text, where).get("stages") or {}).items():
            params: dict[str, Any] = {}
            for values in (stage.get("params") or {}).values():
                params.update(leaves(values))
            deps, outs = (dict(_digests(stage.get(key) or [])) for key in ("deps", "outs"))
            stages[str(name)] = Locked(deps, outs, params)
    except (AttributeError, KeyError, TypeError):
        raise UserError(f"{where}: holds no stages; expected what dvc repro writes") from None
    return Lock(stages)


def is_code(path: str) -> bool:
    """Whether a dependency is code: by the folder that it lies in."""
    return path.split("/")[0] in CODE


def _digests(entries: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        if "md5" in entry:
            yield str(entry["path"]), str(entry["md5"])


class Cache:
    """The files that DVC keeps by md5, on this machine."""

    def __init__(self, root: Path) -> None:
        self._files = _cache_folder(root) / "files" / "md5"

    def path(self, md5: str) -> Path | None:
        """Where the content of that digest lies; None if it does not."""
        if not _MD5.fullmatch(md5):
            return None
        path = self._files / md5[:2] / md5[2:]
        return path if path.is_file() else None

    def read(self, md5: str) -> bytes | None:
        """The content of that digest; None if it is not there or larger than 32 MiB."""
        path = self.path(md5)
        if path is None or path.stat().st_size > _LARGEST:
            return None
        return path.read_bytes()

    def folder(self, md5: str) -> dict[str, str] | None:
        """Relative path -> md5 of what a folder's ``.dir`` entry lists; None if it is not there."""
        content = self.read(md5)
        try:
            return (
                None
                if content is None
                else {str(entry["relpath"]): str(entry["md5"]) for entry in parse_json(content)}
            )
        except (ValueError, KeyError, TypeError):
            return None  # damaged: as good as absent


def _cache_folder(root: Path) -> Path:
    """``.dvc/cache``, or what ``cache.dir`` of DVC's configuration says, from that file's folder.

    It is that of the machine, the user, the project or ``config.local``: as in DVC the last that
    names one counts. A file that is damaged is passed over.
    """
    folder = root / ".dvc" / "cache"
    own = [root / ".dvc" / "config", root / ".dvc" / "config.local"]
    for file in (*_shared_configs(), *own):
        config = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            config.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        chosen = config.get("cache", "dir", fallback="")
        if chosen:
            folder = file.parent / os.path.expanduser(chosen)  # noqa: PTH111 (~x of nobody stays)
    return folder


def _shared_configs() -> list[Path]:
    """DVC's configuration for this machine and for this user, where ``dvc.dirs`` seeks them."""
    found = [os.environ.get(f"DVC_{level}_CONFIG_DIR") for level in ("SYSTEM", "GLOBAL")]
    try:
        import platformdirs  # comes with DVC, which itself is slow to import and sets up logging
    except ImportError:
        places = ["", ""]
    else:
        of = (platformdirs.site_config_dir, platformdirs.user_config_dir)
        places = [place("dvc", "iterative") for place in of]
    folders = [chosen or place for chosen, place in zip(found, places, strict=True)]
    return [Path(folder) / "config" for folder in folders if folder]

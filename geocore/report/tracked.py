"""What the files that git tracks say of a state of the project: parameters, lock, code, data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geocore.config.load import leaves, parse_yaml
from geocore.errors import UserError
from geocore.report.lockfile import Lock, parse_lock
from geocore.report.results import is_data

__all__ = ["Tracked", "some"]

_ALWAYS = ("dvc.yaml", "requirements.lock")  # they decide as code does, and no stage lists them
_NAMED = 3  # of a long list


@dataclass(frozen=True)
class Tracked:
    """``params`` as leaves, and the ``lock``; both empty where the file is not there."""

    params: Mapping[str, Any]
    lock: Lock

    @classmethod
    def of(cls, owner: str, params: bytes | None, lock: bytes | None) -> Tracked:
        """From the bytes of ``params.yaml`` and ``dvc.lock``; ``owner`` is whose, for errors."""
        return cls(
            {} if params is None else leaves(_yaml(params, f"{owner}: params.yaml")),
            Lock() if lock is None else parse_lock(_decoded(lock, f"{owner}: dvc.lock"), owner),
        )

    def code_paths(self) -> list[str]:
        """Files and folders that the pipeline's code lies in."""
        return [*self.lock.code(), *_ALWAYS]

    def is_code(self, path: str) -> bool:
        """Whether the pipeline depends on the file, by itself or by a folder above it."""
        code = self.lock.code()
        folders = [path[:place] for place, letter in enumerate(path) if letter == "/"]
        return path in _ALWAYS or path in code or any(folder in code for folder in folders)

    def data(self) -> dict[str, str]:
        """Path -> md5 of the data that the stages last read and gave."""
        return {path: md5 for path, md5 in sorted(self.lock.data().items()) if is_data(path)}

    def notes(self, sources: Mapping[str, bytes]) -> tuple[str, ...]:
        """A line if the results are older than the code (``sources``) or the parameters."""
        if not self.lock.outs and not self.lock.deps:
            return ("nothing in its dvc.lock: which code and data it stands for is not known",)
        changed = [path for path, md5 in self.lock.code().items() if _md5(path, sources) != md5]
        changed += [leaf for leaf, v in self.lock.params.items() if self.params.get(leaf) != v]
        if not changed:
            return ()
        return (f"its results are older than {some(sorted(changed))}: dvc repro renews them",)


def some(names: Sequence[str]) -> str:
    """The first three of a list, and how many more."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _md5(path: str, sources: Mapping[str, bytes]) -> str:
    """The digest that DVC gives a file, or a folder by the list of its files."""
    if path in sources:
        return hashlib.md5(sources[path], usedforsecurity=False).hexdigest()
    inside = [
        {"md5": _md5(name, sources), "relpath": name.removeprefix(f"{path}/")}
        for name in sorted(sources)
        if name.startswith(f"{path}/")
    ]
    listed = json.dumps(inside, sort_keys=True).encode()
    return f"{hashlib.md5(listed, usedforsecurity=False).hexdigest()}.dir"


def _yaml(content: bytes, where: str) -> dict[str, Any]:
    return parse_yaml(_decoded(content, where), where)


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: byte {error.start} is not UTF-8; expected text") from None

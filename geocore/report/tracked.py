"""What the files that git tracks say of a state of the project: parameters, lock, code, data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geocore.config.load import leaves, parse_yaml
from geocore.errors import UserError
from geocore.report.lockfile import Lock, is_code, parse_lock
from geocore.report.pipeline_of import lock_of
from geocore.report.results import is_data
from geocore.report.snapshot import md5_of

__all__ = ["ALWAYS", "Tracked", "listed_md5", "some"]

ALWAYS = ("dvc.yaml", "requirements.lock")  # they decide as code does, and no stage lists them
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

    def within(self, study: str) -> Tracked:
        """The same with the paths of the lock from the study's folder."""
        return Tracked(self.params, lock_of(self.lock, study))

    def parted(self, files: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Of all ``files`` of a tree the code that the pipeline depends on, and all other code.

        It depends on a file by itself or by a folder above it.
        """
        named = {*self.lock.code(), *ALWAYS}
        code, other = {}, {}
        for path, digest in files.items():
            above = [path[:place] for place, letter in enumerate(path) if letter == "/"]
            if path in named or any(folder in named for folder in above):
                code[path] = digest
            elif is_code(path):
                other[path] = digest
        return code, other

    def data(self) -> dict[str, str]:
        """Path -> md5 of the data that the stages last read and gave."""
        return {path: md5 for path, md5 in sorted(self.lock.data().items()) if is_data(path)}

    def notes(
        self, code: Mapping[str, bytes], data: Mapping[str, str | None] | None = None
    ) -> tuple[str, ...]:
        """A line if the results of any stage are older than what it would read now.

        That is the ``code``, the parameters, what the stages before it gave, and ``data``:
        path -> md5 of what lies at the sources of data now, None for nothing.
        """
        stages = self.lock.stages.values()
        if not any(stage.deps or stage.outs for stage in stages):
            return ("nothing in its dvc.lock: which code and data it stands for is not known",)
        now: dict[str, str | None] = {path: _md5(path, code) for path in self.lock.code()}
        now |= {**self.lock.outs, **(data or {})}
        changed = {
            path
            for stage in stages
            for path, md5 in stage.deps.items()
            if now.get(path, md5) != md5
        }
        changed |= {
            leaf
            for stage in stages
            for leaf, value in stage.params.items()
            if self.params.get(leaf) != value
        }
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
        return md5_of(sources[path])
    inside = [name for name in sources if name.startswith(f"{path}/")]
    return listed_md5({name.removeprefix(f"{path}/"): md5_of(sources[name]) for name in inside})


def listed_md5(files: Mapping[str, str]) -> str:
    """The digest that DVC gives a folder, from relative path -> md5 of its files."""
    inside = [{"md5": md5, "relpath": path} for path, md5 in sorted(files.items())]
    return f"{md5_of(json.dumps(inside, sort_keys=True).encode())}.dir"


def _yaml(content: bytes, where: str) -> dict[str, Any]:
    return parse_yaml(_decoded(content, where), where)


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: byte {error.start} is not UTF-8; expected text") from None

"""Reading ``dvc.yaml`` and ``dvc.lock`` as plain values, without DVC."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geocore.config.load import read_yaml
from geocore.errors import UserError

__all__ = ["DvcStage", "locked_params", "locked_stages", "read_dvc"]

_LONGEST = 80  # characters of a found value that a line repeats


@dataclass(frozen=True)
class DvcStage:
    """One stage as ``dvc.yaml`` writes it; paths relative to its ``wdir``.

    ``params`` are the leaves that it tracks, ``params_files`` the files that it reads them from.
    """

    name: str
    cmd: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]
    params_files: tuple[str, ...] = ("params.yaml",)
    wdir: str = "."

    def covering(self, path: str) -> str | None:
        """The dependency that is ``path`` or a folder above it."""
        for dep in self.deps:
            if path == dep or path.startswith(dep.rstrip("/") + "/"):
                return dep
        return None


def read_dvc(folder: Path) -> dict[str, DvcStage]:
    """The stages of ``folder/dvc.yaml`` in their order.

    Raises ``UserError`` for what cannot be read so: DVC has the last word on the rest.
    """
    found = {}
    for name, about in _stages(folder / "dvc.yaml").items():
        if not isinstance(about, dict) or "cmd" not in about:
            raise UserError(f"dvc.yaml: stage {name} has no cmd; expected python -m flows.{name}")
        params: list[str] = []
        files: list[str] = []
        where = f"dvc.yaml: stage {name}"
        for entry in _entries(about, "params", where):
            groups = entry if isinstance(entry, dict) else {"params.yaml": [entry]}
            for file in groups:
                files.append(str(file))
                params += [str(leaf) for leaf in _entries(groups, file, f"{where}: params")]
        found[str(name)] = DvcStage(
            name=str(name),
            cmd=" ".join(str(about["cmd"]).split()),
            deps=_paths(about, "deps", where),
            params=tuple(params),
            outs=tuple(
                path for key in ("outs", "metrics", "plots") for path in _paths(about, key, where)
            ),
            params_files=tuple(dict.fromkeys(files)),
            wdir=str(about.get("wdir", ".")),
        )
    return found


def locked_params(folder: Path, stage: str, file: str = "params.yaml") -> dict[str, Any] | None:
    """The values of ``file`` at the stage's last run in ``dvc.lock``; None if it never ran."""
    entry = locked_stages(folder).get(stage)
    if entry is None:
        return None
    where = f"dvc.lock: stage {stage}"
    params = _mapping(_mapping(entry, where).get("params"), f"{where}: params")
    return _mapping(params.get(file), f"{where}: params: {file}")


def locked_stages(folder: Path) -> dict[str, Any]:
    """The stages of ``folder/dvc.lock`` as it has them; none without the file."""
    return _stages(folder / "dvc.lock") if (folder / "dvc.lock").exists() else {}


def _stages(path: Path) -> dict[str, Any]:
    stages = _mapping(read_yaml(path).get("stages"), f"{path.name}: stages")
    return {str(name): about for name, about in stages.items()}


def _mapping(value: Any, where: str) -> dict[Any, Any]:
    """``value`` as a mapping; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"{where} is {_shown(value)}; expected a mapping of keys")
    return value


def _entries(about: dict[Any, Any], key: Any, where: str) -> list[Any]:
    """The list at ``key``, whose entries are words or mappings; null is an empty one."""
    entries = about.get(key)
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(
        isinstance(entry, str | dict) and entry for entry in entries
    ):
        raise UserError(f"{where}: {key} is {_shown(entries)}; expected a list")
    return entries


def _paths(about: dict[Any, Any], key: str, where: str) -> tuple[str, ...]:
    """Paths of a list whose entries are strings or ``{path: options}``."""
    entries = _entries(about, key, where)
    return tuple(str(next(iter(e)) if isinstance(e, dict) else e) for e in entries)


def _shown(value: Any) -> str:
    found = repr(value)
    return found if len(found) <= _LONGEST else f"{found[:_LONGEST]}..."

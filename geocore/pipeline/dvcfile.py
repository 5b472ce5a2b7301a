"""Reading ``dvc.yaml`` and ``dvc.lock`` as plain values, without DVC."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geocore.config.load import read_yaml
from geocore.errors import UserError

__all__ = ["DvcStage", "locked_params", "read_dvc"]


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
    """The stages of ``folder/dvc.yaml`` in their order."""
    stages = read_yaml(folder / "dvc.yaml").get("stages") or {}
    found = {}
    for name, about in stages.items():
        if not isinstance(about, dict) or "cmd" not in about:
            raise UserError(f"dvc.yaml: stage {name} has no cmd; expected python -m flows.{name}")
        params: list[str] = []
        files: list[str] = []
        for entry in about.get("params") or []:
            groups = entry if isinstance(entry, dict) else {"params.yaml": [entry]}
            for file, group in groups.items():
                files.append(str(file))
                params += [str(leaf) for leaf in group or []]
        found[str(name)] = DvcStage(
            name=str(name),
            cmd=" ".join(str(about["cmd"]).split()),
            deps=_paths(about.get("deps")),
            params=tuple(params),
            outs=tuple(
                path for key in ("outs", "metrics", "plots") for path in _paths(about.get(key))
            ),
            params_files=tuple(dict.fromkeys(files)),
            wdir=str(about.get("wdir", ".")),
        )
    return found


def locked_params(folder: Path, stage: str, file: str = "params.yaml") -> dict[str, Any] | None:
    """The values of ``file`` at the stage's last run in ``dvc.lock``; None if it never ran."""
    if not (folder / "dvc.lock").exists():
        return None
    entry = (read_yaml(folder / "dvc.lock").get("stages") or {}).get(stage)
    return None if entry is None else dict(entry.get("params", {}).get(file, {}))


def _paths(entries: Any) -> tuple[str, ...]:
    """Paths of a list whose entries are strings or ``{path: options}``."""
    return tuple(str(next(iter(e)) if isinstance(e, dict) else e) for e in entries or [])

"""Why a stage would run again: which parameter, which file, which module, which output."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geocore.config.load import leaves, read_yaml
from geocore.errors import UserError
from geocore.pipeline.dvcfile import DvcStage, locked_params, read_dvc
from geocore.pipeline.dvcstatus import dvc_status
from geocore.pipeline.inputs import study_folder
from geocore.runs.closure import import_closure, module_digests
from geocore.runs.home import ledger_folder
from geocore.runs.ledger import Ledger

__all__ = ["Reason", "reasons"]


@dataclass(frozen=True)
class Reason:
    """One cause: ``kind`` is param, code, data, output, command, or upstream."""

    kind: str
    name: str
    detail: str


def reasons(root: Path, name: str, study: str | None = None) -> list[Reason]:
    """Everything that makes ``dvc repro NAME`` run the stage itself again; empty: up to date.

    DVC says which files differ; for code the ledger's last finished run says which modules, and
    whether a statement changed or only words. ``study`` names a folder below ``studies/`` whose
    stage is meant instead of the root's.
    """
    where = "" if study is None else f"{study_folder(root, study)}/"
    stages = read_dvc(root / where)
    if name not in stages:
        raise UserError(f"stage {name!r} is unknown; expected one of {', '.join(stages)}")
    status = dvc_status(root, f"{where}dvc.yaml")
    label = f"{where}dvc.yaml:" if where else ""
    told: dict[str, list[Reason]] = {}
    makers = {out: other.name for other in stages.values() for out in other.outs}

    def tell(stage: DvcStage) -> list[Reason]:
        if stage.name not in told:
            locked = locked_params(root / where, stage.name, f"{where}params.yaml")
            if locked is None:
                line = "has never run to its end here (not in dvc.lock)"
                told[stage.name] = [Reason("output", stage.name, line)]
                return told[stage.name]
            found = _params(root / where, stage, locked)
            for entry in status.get(f"{label}{stage.name}", []):
                found += _files(root, where, stage, entry)
            above = dict.fromkeys(makers[dep] for dep in stage.deps if dep in makers)
            found += [
                Reason("upstream", maker, "would run again; its outputs may change")
                for maker in above
                if tell(stages[maker])
            ]
            told[stage.name] = found
        return told[stage.name]

    return tell(stages[name])


def _params(folder: Path, stage: DvcStage, locked: dict[str, Any]) -> list[Reason]:
    now = leaves(read_yaml(folder / "params.yaml"))
    before = leaves(locked)
    found = []
    for leaf in stage.params:
        old, new = before.get(leaf, "(absent)"), now.get(leaf, "(absent)")
        if old != new:
            found.append(Reason("param", leaf, f"{json.dumps(old)} -> {json.dumps(new)}"))
    return found


def _files(root: Path, where: str, stage: DvcStage, entry: Any) -> list[Reason]:
    if isinstance(entry, str):
        return [Reason("command", stage.name, entry)]
    found = []
    for path, state in entry.get("changed deps", {}).items():
        if path == f"{where}params.yaml":
            continue  # told leaf by leaf
        if path.startswith(("geocore", "flows", "tasks")):
            found += _modules(root, where, stage, path, str(state))
        else:
            found.append(Reason("data", path, str(state)))
    for path, state in entry.get("changed outs", {}).items():
        found.append(Reason("output", path, str(state)))
    return found


def _modules(root: Path, where: str, stage: DvcStage, dep: str, state: str) -> list[Reason]:
    """The modules under a changed code dependency, against the last finished run's record."""
    closure = import_closure([f"flows.{stage.name}"], root)
    now = module_digests([f"flows.{stage.name}"], root)
    done = [
        run
        for run in Ledger(ledger_folder(root)).runs(stage.name)
        if run["state"] == "done" and run.get("study", "") == where.rstrip("/")
    ]
    before = (done[0].get("code") or {}).get("closure") if done else None
    if not before:
        return [Reason("code", dep, f"{state} (no run in the ledger to compare modules with)")]
    inside = {
        module: path.relative_to(root).as_posix()
        for module, path in closure.items()
        if path.is_relative_to(root / dep)
    }
    found = [
        Reason("code", inside[module], "new" if module not in before else "a statement changed")
        for module in inside
        if before.get(module) != now[module]
    ]
    gone = [module for module in before if module not in now and _under(module, dep)]
    found += [Reason("code", module, "no longer imported") for module in gone]
    if not found:
        words = "only comments, docstrings or unused files: cached pieces will be found again"
        found = [Reason("code", dep, f"{state}; {words}")]
    return found


def _under(module: str, dep: str) -> bool:
    path = module.replace(".", "/")
    return f"{path}.py" == dep or path.startswith(dep.rstrip("/") + "/")

"""``prefect.yaml`` as far as the project relies on it, and what is wrong with it."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from geocore.config.load import read_yaml
from geocore.errors import UserError
from geocore.pipeline.dvcfile import read_dvc

__all__ = ["FILE", "Deployment", "deployment_faults", "nearest", "read_deployments"]

FILE = "prefect.yaml"
_KINDS = ("cron", "interval", "rrule")
_CRON = re.compile(r"@\w+|\S+( \S+){4,5}")


@dataclass(frozen=True)
class Deployment:
    """One deployment: what runs (``flows/FILE.py:FLOW``), with what, when, on which work pool."""

    name: str
    entrypoint: str
    work_pool: str
    parameters: dict[str, Any] = field(default_factory=dict)
    schedules: tuple[dict[str, Any], ...] = ()

    @property
    def full_name(self) -> str:
        """``FLOW/NAME``, as Prefect calls it."""
        return f"{self.entrypoint.rpartition(':')[2]}/{self.name}"


def read_deployments(root: Path) -> dict[str, Deployment]:
    """The deployments of ``root/prefect.yaml`` by their names, in their order.

    Raises ``UserError``, a line for each fault, if they could not be run.
    """
    if not (root / FILE).exists():
        raise UserError(f"no {FILE} in {root}; expected one with deployments")
    found = list(deployment_faults(root))
    if found:
        raise UserError(*found)
    return {
        entry["name"]: Deployment(
            name=entry["name"],
            entrypoint=entry["entrypoint"],
            work_pool=entry["work_pool"]["name"],
            parameters=entry.get("parameters") or {},
            schedules=tuple(entry.get("schedules") or ()),
        )
        for entry in read_yaml(root / FILE)["deployments"]
    }


def deployment_faults(root: Path) -> Iterator[str]:
    """What could not be deployed or run, in a line each; nothing without a ``prefect.yaml``."""
    if not (root / FILE).exists():
        return
    names: set[str] = set()
    for entry in read_yaml(root / FILE).get("deployments") or []:
        if not isinstance(entry, dict):
            yield f"{FILE}: deployments have {entry!r}; expected a name and an entrypoint"
            continue
        name = entry.get("name")
        where = f"{FILE}: deployment {name or '(no name)'}"
        if not isinstance(name, str) or not name:
            yield f"{where}: no name; expected one"
        elif name in names:
            yield f"{where}: stands there twice; expected each name once"
        names.add(str(name))
        yield from _entrypoint_faults(root, where, entry)
        yield from _target_faults(root, where, entry)
        pool = entry.get("work_pool")
        if not isinstance(pool, dict) or not isinstance(pool.get("name"), str):
            yield f"{where}: no work_pool.name; expected a work pool"
        for schedule in entry.get("schedules") or []:
            yield from _schedule_faults(where, schedule)


def nearest(name: str, known: Iterable[str]) -> str:
    """The one that was meant, if one is near; else all."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"


def _entrypoint_faults(root: Path, where: str, entry: dict[str, Any]) -> Iterator[str]:
    point = str(entry.get("entrypoint", ""))
    file, _, name = point.partition(":")
    path = root / file
    if not file or not path.is_file():
        yield f"{where}: entrypoint is {point!r}; expected flows/FILE.py:FLOW that exists"
        return
    arguments = _flow_arguments(path, name)
    if arguments is None:
        yield f"{where}: {file} has no flow {name!r}; expected a function with @flow"
        return
    for key in entry.get("parameters") or {}:
        if key not in arguments:
            yield f"{where}: parameter {key} is unknown; expected {', '.join(arguments)}"


def _target_faults(root: Path, where: str, entry: dict[str, Any]) -> Iterator[str]:
    targets = (entry.get("parameters") or {}).get("targets")
    if targets is None:
        return
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        yield f"{where}: targets are {targets!r}; expected a list of stages, or null for all"
        return
    stages = list(read_dvc(root))
    for target in targets:
        file, _, stage = target.rpartition(":")  # studies/NAME/dvc.yaml:STAGE
        if file or target.endswith("dvc.yaml"):
            path = file or target
            if not (root / path).is_file():
                yield f"{where}: target {target!r}: {path} does not exist; expected a dvc.yaml"
        elif stage.partition("@")[0] not in stages:
            yield f"{where}: target {target!r} is no stage; {nearest(target, stages)}"


def _schedule_faults(where: str, schedule: Any) -> Iterator[str]:
    kinds = [kind for kind in _KINDS if isinstance(schedule, dict) and schedule.get(kind)]
    if len(kinds) != 1:
        yield f"{where}: schedule {schedule!r}; expected one of {', '.join(_KINDS)}"
        return
    if kinds == ["cron"] and not _CRON.fullmatch(" ".join(str(schedule["cron"]).split())):
        yield f"{where}: cron is {schedule['cron']!r}; expected five fields, like '0 3 * * *'"
    zone = schedule.get("timezone")
    try:
        ZoneInfo(zone)
    except (ValueError, TypeError, OSError, KeyError):
        yield f"{where}: timezone is {zone!r}; expected one said by name, like UTC"


def _flow_arguments(path: Path, name: str) -> list[str] | None:
    """Arguments of the flow ``name`` in a file, read from its source."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            for decorator in node.decorator_list:
                target = decorator.func if isinstance(decorator, ast.Call) else decorator
                if isinstance(target, ast.Name) and target.id == "flow":
                    return [argument.arg for argument in node.args.args + node.args.kwonlyargs]
    return None

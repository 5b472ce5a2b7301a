"""``prefect.yaml`` as far as the project relies on it, and what is wrong with it."""

from __future__ import annotations

import ast
import difflib
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from geocore.config.load import read_yaml
from geocore.errors import UserError
from geocore.pipeline.cron import cron_fault
from geocore.pipeline.dvcfile import read_dvc

__all__ = [
    "FILE",
    "Deployment",
    "deployment_faults",
    "nearest",
    "read_deployments",
    "target_faults",
]

FILE = "prefect.yaml"
_ROOTS = "dvc.yaml"
_KINDS = ("cron", "interval", "rrule")
_DURATION = re.compile(r"P\d[\dDWT.HMS]*|PT\d[\d.HMS]*|\d+:\d\d:\d\d")
_SCHEDULE_KEYS = (
    "timezone", "anchor_date", "active", "parameters", "slug", "replaces", "day_or"
)  # fmt: skip
_POOL_KEYS = ("name", "work_queue_name", "job_variables")
# What Prefect reads of a deployment; it passes over any other key in silence.
_KEYS = (
    "name", "version", "version_type", "tags", "description", "schedules", "paused",
    "concurrency_limit", "flow_name", "entrypoint", "parameters", "enforce_parameter_schema",
    "build", "push", "pull", "work_pool", "triggers", "sla",
)  # fmt: skip


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
    entries = read_yaml(root / FILE).get("deployments")
    if not isinstance(entries, list) or not entries:
        yield f"{FILE}: deployments are {entries!r}; expected a list of them"
        return
    names: set[str] = set()
    for entry in entries:
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
        yield from _unknown(where, entry, _KEYS)
        yield from _run_faults(root, where, entry)
        pool = entry.get("work_pool")
        if not isinstance(pool, dict) or not isinstance(pool.get("name"), str):
            yield f"{where}: no work_pool.name; expected a work pool"
        else:
            yield from _unknown(f"{where}: work_pool", pool, _POOL_KEYS)


def target_faults(root: Path, targets: Iterable[str]) -> Iterator[str]:
    """Which targets are not of the root's pipeline, whose metrics a run reports: a line each."""
    stages = list(read_dvc(root))
    for target in targets:
        file, _, stage = target.rpartition(":")
        if file not in ("", _ROOTS) or (not file and target.endswith("/" + _ROOTS)):
            yield (
                f"target {target!r} is of another pipeline; expected stages of the root's "
                f"{_ROOTS}, whose metrics are reported"
            )
        elif target != _ROOTS and stage.partition("@")[0] not in stages:
            yield f"target {target!r} is no stage; {nearest(target, stages)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """The one that was meant, if one is near; else all."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"


def _unknown(where: str, entry: dict[str, Any], known: Iterable[str]) -> Iterator[str]:
    for key in entry:
        if key not in known:
            yield f"{where}: {key} is an unknown key; {nearest(str(key), known)}"


def _run_faults(root: Path, where: str, entry: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the flow, its parameters, and when they are."""
    point = str(entry.get("entrypoint", ""))
    file, _, name = point.partition(":")
    path = root / file
    arguments: list[str] | None = None
    if not file or not path.is_file():
        yield f"{where}: entrypoint is {point!r}; expected flows/FILE.py:FLOW that exists"
    else:
        try:
            arguments = _flow_arguments(path, name)
            if arguments is None:
                yield f"{where}: {file} has no flow {name!r}; expected a function with @flow"
        except (SyntaxError, ValueError, RecursionError, MemoryError, OSError):
            yield f"{where}: entrypoint is {point!r}; {file} is not Python, expected flows/FILE.py"
    yield from _parameter_faults(root, where, entry, arguments)
    schedules = entry.get("schedules")
    if not isinstance(schedules, list | None):
        yield f"{where}: schedules are {schedules!r}; expected a list"
        return
    for schedule in schedules or ():
        yield from _schedule_faults(where, schedule)
        if isinstance(schedule, dict):
            yield from _parameter_faults(root, f"{where}: schedule", schedule, arguments)


def _parameter_faults(
    root: Path, where: str, entry: dict[str, Any], arguments: list[str] | None
) -> Iterator[str]:
    parameters = entry.get("parameters")
    if not isinstance(parameters, dict | None):
        yield f"{where}: parameters are {parameters!r}; expected a mapping of them"
        return
    for key in parameters or {}:
        if arguments is not None and key not in arguments:
            yield f"{where}: parameter {key} is unknown; expected {', '.join(arguments)}"
    targets = (parameters or {}).get("targets")
    if targets is None:
        return
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        yield f"{where}: targets are {targets!r}; expected a list of stages, or null for all"
        return
    yield from (f"{where}: {line}" for line in target_faults(root, targets))


def _schedule_faults(where: str, schedule: Any) -> Iterator[str]:
    kinds = [kind for kind in _KINDS if isinstance(schedule, dict) and kind in schedule]
    if len(kinds) != 1:
        yield f"{where}: schedule {schedule!r}; expected one of {', '.join(_KINDS)}"
        return
    yield from _unknown(f"{where}: schedule", schedule, (*_KINDS, *_SCHEDULE_KEYS))
    when = schedule[kinds[0]]
    if kinds == ["cron"] and (fault := cron_fault(str(when))):
        yield f"{where}: cron: {fault}"
    elif kinds == ["interval"] and not _is_interval(when):
        yield f"{where}: interval is {when!r}; expected seconds above 0, or a duration like PT6H"
    elif kinds == ["rrule"] and not (isinstance(when, str) and when.strip()):
        yield f"{where}: rrule is {when!r}; expected a rule like FREQ=DAILY"
    zone = schedule.get("timezone")
    try:
        ZoneInfo(zone)
    except (ValueError, TypeError, OSError, KeyError):
        yield f"{where}: timezone is {zone!r}; expected one said by name, like UTC"


def _is_interval(value: Any) -> bool:
    if isinstance(value, str):
        return _DURATION.fullmatch(value) is not None and re.search("[1-9]", value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _flow_arguments(path: Path, name: str) -> list[str] | None:
    """Arguments of the flow ``name`` in a file, read from its source."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            for decorator in node.decorator_list:
                target = decorator.func if isinstance(decorator, ast.Call) else decorator
                if isinstance(target, ast.Name) and target.id == "flow":
                    return [argument.arg for argument in node.args.args + node.args.kwonlyargs]
    return None

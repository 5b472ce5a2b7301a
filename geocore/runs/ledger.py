"""The run ledger: one entry a run, with what was asked, read, used, spent and given."""

from __future__ import annotations

import difflib
import logging
import os
import platform
import re
import resource
import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from geocore.config.foreign_json import parse_json
from geocore.errors import UserError
from geocore.runs.atomic import remove_stale, write_json
from geocore.runs.digest import digest_json
from geocore.runs.environment import environment, git_state
from geocore.runs.home import project_root
from geocore.runs.processes import alive, start_ticks

__all__ = ["Ledger", "Run"]

_log = logging.getLogger(__name__)

_STAGE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*")
_STAMP = re.compile(r"(\d{8}T\d{6})-")  # what the name of a run begins with
_STAMP_FORMAT = "%Y%m%dT%H%M%S"
_MEASURED = ("wall_seconds", "cpu_seconds", "peak_rss_mib")
# What readers rely on where an entry has it.
_KINDS: dict[str, type | tuple[type, ...]] = {
    "wall_seconds": (int, float),
    "pieces": dict,
    "code": dict,
    "params": dict,
    "key": str,
}
_OWN = {
    *("run", "stage", "state", "pid", "pid_ticks", "started", "ended", "error", "checksum"),
    *_MEASURED,
}
# What reading an entry raises, whatever was done to its file.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError)


class Run:
    """A run under way: a handle to add to its ledger entry. Threads may share it."""

    def __init__(self, path: Path, entry: dict[str, Any]) -> None:
        self._path = path
        self._entry = entry
        self._lock = threading.Lock()
        _write(path, entry)

    @property
    def id(self) -> str:
        """The run's name in the ledger, ``20261122T174501-train-ab12cd``."""
        return str(self._entry["run"])

    def note(self, **values: Any) -> None:
        """Merge ``values`` into the entry and write it: mappings key by key, the rest replaced.

        The usual names are ``params``, ``inputs``, ``code``, ``outs``, ``manifest``, ``pieces``
        (key -> ``"made"`` or ``"found"``; a plain list adds to them), ``resumed_from``,
        ``threads`` and ``device``. Raises ``ValueError`` for a name that the ledger keeps for
        itself, and for values that are no finite JSON.
        """
        taken = sorted(_OWN & values.keys())
        if taken:
            raise ValueError(f"note: {', '.join(taken)}: kept by the ledger itself")
        if not isinstance(values.get("pieces", {}), Mapping):
            values["pieces"] = dict.fromkeys(values["pieces"], "used")
        self._update(values)

    def _update(self, values: Mapping[str, Any]) -> None:
        with self._lock:
            merged = _merge(self._entry, values)
            _write(self._path, merged)
            self._entry = merged


class Ledger:
    """Runs under ``root``, a JSON file each, with its checksum.

    ``project`` is the repository, found if not given.
    """

    def __init__(self, root: Path, project: Path | None = None) -> None:
        self.root = Path(root)
        self._project = project

    @contextmanager
    def record(self, stage: str, **about: Any) -> Iterator[Run]:
        """Record the block as a run of ``stage``: yield the ``Run`` to note things on.

        The entry stands from the start (state ``running``), with ``about``, the git state and the
        environment; at the end it gets the state ``done``, or ``failed`` with the error in one
        line, and what the run cost. A run whose process was killed reads as ``died``.
        """
        if not _STAGE.fullmatch(stage):
            raise ValueError(f"stage is {stage!r}; expected letters, digits and _ . @ + -")
        now = datetime.now(UTC)
        name = f"{self._stamp(now)}-{stage}-{secrets.token_hex(3)}"
        project = self._find_project()
        own = {
            "run": name,
            "stage": stage,
            "state": "running",
            "pid": os.getpid(),
            "pid_ticks": start_ticks(os.getpid()),
            "started": now.isoformat(),
        }
        usual = {
            "code": {} if project is None else git_state(project),
            "device": "cpu",
            "threads": _threads(),
            "environment": environment(project),
        }
        if self.root.is_dir():
            remove_stale(self.root)
        run = Run(self.root / f"{name}.json", _merge(usual, own))
        wall, cpu = time.perf_counter(), _cpu_seconds()
        try:
            run.note(**about)
            yield run
        except BaseException as error:
            ended = _is_clean_exit(error)
            told = {} if ended else {"error": _one_line(error)}
            with suppress(UserError):  # on a full disk the run's own error is the one to see
                run._update({"state": "done" if ended else "failed", **_cost(wall, cpu), **told})
            raise
        run._update({"state": "done", **_cost(wall, cpu)})

    def runs(self, stage: str | None = None, last: int | None = None) -> list[dict[str, Any]]:
        """The entries, newest first: of one stage, the ``last`` so many, or all.

        A damaged entry is skipped and named in the log; ``damaged`` lists them.
        """
        entries, broken = self._read()
        for line in broken:
            _log.warning("%s", line)
        chosen = [entry for entry in entries if stage in (None, entry["stage"])]
        return chosen[: None if last is None else max(last, 0)]

    def damaged(self) -> list[str]:
        """One line for each entry that cannot be read."""
        return self._read()[1]

    def show(self, run_id: str) -> dict[str, Any]:
        """The entry of that name, or of the only name that begins so.

        Raises ``UserError`` naming the nearest runs if there is none, the candidates if there are
        several, and the file if it is damaged.
        """
        names = sorted(path.stem for path in self._files())
        found = [name for name in names if name == run_id] or [
            name for name in names if run_id and name.startswith(run_id)
        ]
        if len(found) > 1:
            raise UserError(f"run {run_id!r} is not unique; it may be {_some(found)}")
        if not found:
            near = difflib.get_close_matches(run_id, names, n=3, cutoff=0.0)
            hint = f"the nearest is {_some(near)}" if near else "the ledger is empty"
            raise UserError(f"no run {run_id!r} in {self.root}; {hint}")
        entry, damage = _load(self.root / f"{found[0]}.json")
        if entry is None:
            raise UserError(str(damage))
        return entry

    def kept(self, last: int) -> list[dict[str, Any]]:
        """The entries whose caches stay, newest first.

        All that run, the ``last`` done ones of each stage and study, and the failed and died ones
        that are newer than those: they may be taken up again.
        """
        done: Counter[tuple[str, str]] = Counter()
        entries = []
        for entry in self.runs():
            which = entry["stage"], str(entry.get("study", ""))
            if done[which] < last or entry["state"] == "running":
                entries.append(entry)
            done[which] += entry["state"] == "done"
        return entries

    def pieces_in_use(self, last: int) -> set[str]:
        """The pieces that the ``kept`` runs name."""
        return {key for entry in self.kept(last) for key in entry.get("pieces", ())}

    def _stamp(self, now: datetime) -> str:
        """The second that names a run: now, or one later than the newest name of the ledger.

        Names rise also where the clock was set back: the order of runs, which ``kept`` goes by,
        is that in which they came.
        """
        stamps = [found[1] for path in self._files() if (found := _STAMP.match(path.name))]
        stamp = now.strftime(_STAMP_FORMAT)
        newest = max(stamps, default=stamp)
        if newest > stamp:
            with suppress(ValueError, OverflowError):  # a name that only looks like one of ours
                later = datetime.strptime(newest, _STAMP_FORMAT) + timedelta(seconds=1)
                return later.strftime(_STAMP_FORMAT)
        return stamp

    def _find_project(self) -> Path | None:
        if self._project is not None:
            return self._project
        with suppress(UserError):
            return project_root()
        return None

    def _files(self) -> list[Path]:
        return sorted(self.root.glob("[!.]*.json"))

    def _read(self) -> tuple[list[dict[str, Any]], list[str]]:
        loaded = [_load(path) for path in self._files()]
        entries = [entry for entry, _ in loaded if entry is not None]
        entries.sort(key=_order, reverse=True)
        return entries, [damage for _, damage in loaded if damage is not None]


def _write(path: Path, entry: Mapping[str, Any]) -> None:
    write_json(path, {**entry, "checksum": digest_json(entry)})


def _load(path: Path) -> tuple[dict[str, Any] | None, str | None]:
    """An entry with its state as of now, or what is wrong with it.

    One that an earlier version wrote has no checksum, and is taken as it is.
    """
    try:
        entry = parse_json(path.read_bytes())
        found = entry.pop("checksum", None)
        if found is not None and found != digest_json(entry):
            raise ValueError("checksum")
        for name in ("run", "stage", "state", "started"):
            if not isinstance(entry[name], str):
                raise TypeError(name)
        for name, kind in _KINDS.items():
            value = entry.get(name)
            if name in entry and (isinstance(value, bool) or not isinstance(value, kind)):
                raise TypeError(name)
        if entry["state"] == "running" and _has_died(entry):
            entry["state"] = "died"
    except _DAMAGE:
        return None, f"{path}: not a ledger entry; it is skipped"
    return entry, None


def _order(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    stamp = _STAMP.match(entry["run"])
    return stamp[1] if stamp else entry["started"], entry["started"], entry["run"]


def _has_died(entry: Mapping[str, Any]) -> bool:
    if entry["environment"]["host"] != platform.node():
        return False  # another machine's process: nothing here can tell
    return not alive(entry["pid"], entry["pid_ticks"])


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(before, value) if both else value  # type: ignore[arg-type]
    return merged


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}".rstrip(": ")


def _is_clean_exit(error: BaseException) -> bool:
    return isinstance(error, SystemExit) and error.code in (None, 0)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _threads() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() else os.cpu_count() or 1


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _cost(wall: float, cpu: float) -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "ended": datetime.now(UTC).isoformat(),
        "wall_seconds": round(time.perf_counter() - wall, 3),
        "cpu_seconds": round(_cpu_seconds() - cpu, 3),
        "peak_rss_mib": round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1),
    }

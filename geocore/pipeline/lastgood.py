"""Metrics against the last good run: the newest ``repro`` of the same targets that ended well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from geocore.errors import UserError
from geocore.report.comparison import Difference, compare
from geocore.report.recorded import recorded_snapshot
from geocore.report.snapshot import Snapshot
from geocore.runs.home import project_root
from geocore.runs.ledger import Ledger

__all__ = ["REPRO", "last_good", "metric_rows", "named_targets"]

REPRO = "repro"  # what the ledger calls these runs
_WORDS = {"min": "at least", "max": "at most"}


def named_targets(targets: Iterable[str] | None) -> list[str]:
    """The targets as the ledger keeps them: without order or repetition; none: the pipeline."""
    return sorted(set(targets or ()))


def last_good(
    ledger: Ledger, targets: Iterable[str] | None = None, root: Path | None = None
) -> Snapshot | None:
    """What the newest done run of these targets left; None if there is none with a snapshot.

    It is as ``read_snapshot`` gives that run: with the pictures that DVC's cache has and what the
    ledger knows of its stages, at ``root``, by default the project of the working folder.
    """
    wanted = named_targets(targets)
    for entry in ledger.runs(REPRO):
        if entry["state"] != "done" or entry.get("targets") != wanted:
            continue
        try:
            found = Snapshot.from_json(entry["run"], entry.get("snapshot"))
        except UserError:
            continue  # of a run that noted none, or of another version
        try:
            where = project_root() if root is None else root
            return recorded_snapshot(where, str(entry["run"]), entry)
        except UserError:
            return found  # outside of any project there is no cache or ledger to look into
    return None


def metric_rows(now: Snapshot, before: Snapshot | None) -> list[dict[str, Any]]:
    """Rows ``{"metric", "last good", "now", "delta", "verdict", "gate"}``, plain JSON.

    First what a gate bounds, then the metrics: those that differ before those that do not.
    ``delta`` is now less last good; ``verdict`` is ``better`` or ``worse`` where that is known.
    """
    rows = [_gate_row(name, gate, before) for name, gate in now.gates.items()]
    if before is None:
        return rows + [_row(name, None, value) for name, value in now.metrics.items()]
    found = compare([before, now], everything=True).metrics
    changed = [row for row in found if row.differs]
    return rows + [_compared(row) for row in (*changed, *(r for r in found if not r.differs))]


def _gate_row(name: str, gate: Mapping[str, Any], before: Snapshot | None) -> dict[str, Any]:
    stage, _, bound = name.rpartition(".")
    earlier = None if before is None else _number(before.gates.get(name, {}).get("value"))
    now = _number(gate.get("value"))
    row = _row(f"{stage}: {gate.get('metric')}", earlier, now)
    if earlier is not None and now is not None:
        row["delta"] = now - earlier
        higher_is_better = gate.get("sense") == "min"
        if now != earlier:
            row["verdict"] = "better" if (now > earlier) == higher_is_better else "worse"
    allowed = f"{_WORDS.get(str(gate.get('sense')), '')} {gate.get('bound')}".strip()
    passed = "passed" if gate.get("passed") else "failed"
    row["gate"] = f"{passed}: expected {allowed} (gate.{bound})"
    return row


def _compared(difference: Difference) -> dict[str, Any]:
    before, now = (_number(value) for value in difference.values)
    row = _row(difference.name, before, now)
    row["delta"], row["verdict"] = difference.deltas[1], difference.verdicts[1]
    return row


def _row(name: str, before: float | None, now: float | None) -> dict[str, Any]:
    return {
        "metric": name, "last good": before, "now": now, "delta": None, "verdict": "", "gate": ""
    }  # fmt: skip


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None

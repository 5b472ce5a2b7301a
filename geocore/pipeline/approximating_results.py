"""What is told of ensembles and posterior: a table, figures over repeats, the verdict, pictures."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geocore.pipeline.approximating_mixtures import Mixed, apart, chains_apart, figures, pooled
from geocore.pipeline.approximating_pictures import Curve, draw_groups, draw_maps
from geocore.pipeline.approximating_tasks import Task
from geocore.runs.atomic import write_json, write_text

__all__ = ["FIGURES", "Told", "name_of", "rows_of", "summary", "write_results"]

_APART = ("entropy", "mutual_information", "total_variation", "agreement")
FIGURES = (
    *_APART,
    *("mean_entropy", "mean_mutual_information"),
    *("accuracy", "nll", "ece", "brier", "auroc_entropy", "auroc_mutual_information"),
)
"""Columns of the table: the first four are distances to the reference."""

_DEEP, _REFERENCE, _CHAINS = "none", "HMC", "chain to chain"
_DIGITS = 6
_WORDS = {
    "entropy": "|H - H of HMC|, nats",
    "mutual_information": "|MI - MI of HMC|, nats",
    "total_variation": "total variation from HMC",
    "mean_entropy": "entropy, nats",
    "mean_mutual_information": "mutual information, nats",
    "nll": "negative log-likelihood",
    "ece": "expected calibration error",
    "auroc_entropy": "area under ROC, by entropy",
}

Row = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """``ensembles[name][repeat][asked]`` and ``chains[asked][chain]``; ``kinds`` by name.

    ``record`` is how the chains went; it and ``chains`` are None without a reference.
    """

    task: Task
    kinds: Mapping[str, tuple[str, float]]
    ensembles: Mapping[str, Sequence[Mapping[str, Mixed]]]
    chains: Mapping[str, Sequence[Mixed]] | None
    record: Mapping[str, Any] | None


def name_of(family: str, p: float) -> str:
    """``dropout 0.1``; a family without ``p`` by its name."""
    return f"{family} {p!r}" if p else family


def write_results(folder: Path, told: Told) -> None:
    """``metrics.json``, ``table.csv`` and ``pictures``: equal predictions, equal bytes."""
    rows = rows_of(told)
    metrics = summary(told, rows)
    write_json(folder / "metrics.json", metrics)
    write_text(folder / "table.csv", _table(rows))
    pictures = folder / "pictures"
    pictures.mkdir()
    for figure, curves in _curves(told, rows).items():
        groups = [name for name in told.task.groups if any(name in c.points for c in curves)]
        draw_groups(pictures / f"{figure}.png", groups, curves, _WORDS[figure])
    if told.task.map is not None:
        draw_maps(pictures / "maps.png", _maps(told), told.task.map)


def rows_of(told: Told) -> list[Row]:
    """A row for each group of inputs and each ensemble, the reference, and chain to chain."""
    rows: list[Row] = []
    for name, group in told.task.groups.items():
        labels = group.truth
        posterior = None
        if told.chains is not None:
            chains = [chain.at(group.chosen) for chain in told.chains[group.asked]]
            posterior = pooled(chains)
            inside = pooled(told.chains["test"]) if group.outside else None
            own = figures(posterior, labels, inside)
            rows.append({"group": name, "ensemble": _REFERENCE, **own})
            rows.append({"group": name, "ensemble": _CHAINS, **chains_apart(chains)})
        for kind, (family, p) in told.kinds.items():
            for repeat, asked in enumerate(told.ensembles[kind]):
                mixed = asked[group.asked].at(group.chosen)
                about = {"group": name, "ensemble": kind, "family": family, "p": p}
                row = {**about, "repeat": repeat}
                row |= figures(mixed, labels, asked["test"] if group.outside else None)
                if posterior is not None:
                    row |= apart(mixed, posterior)
                rows.append(row)
    return rows


def summary(told: Told, rows: Sequence[Row]) -> dict[str, Any]:
    """Means and standard deviations over repeats, the reference, and which ensemble is nearer."""
    found: dict[str, Any] = {}
    for row in rows:
        if "repeat" in row:
            continue
        own = {key: _rounded(row[key]) for key in FIGURES if key in row}
        found.setdefault(row["ensemble"].replace(" ", "_"), {})[row["group"]] = own
    if told.record is not None:
        found[_REFERENCE]["sampler"] = {k: _rounded(v) for k, v in told.record.items()}
    for kind in told.kinds:
        for group in told.task.groups:
            own = {}
            for key, values in _values(rows, group, kind).items():
                own[key] = _rounded(statistics.fmean(values))
                if len(values) > 1:
                    own[f"{key}_sd"] = _rounded(statistics.stdev(values))
            found.setdefault("ensembles", {}).setdefault(kind.replace(" ", "_"), {})[group] = own
    nearer = _nearer(told, rows)
    return {**found, "nearer": nearer} if nearer else found


def _nearer(told: Told, rows: Sequence[Row]) -> dict[str, Any]:
    """By group, of ``|H - H'|``: how much nearer the nearest stochastic ensemble is than the deep.

    ``gain`` is the mean over repeats and ``gain_min`` the least, seed against seed; ``floor`` is
    chain to chain, and ``holds`` is 1 where even the least gain is more than that.
    """
    if told.chains is None or _DEEP not in told.kinds or len(told.kinds) < 2:
        return {}
    found = {}
    for group in told.task.groups:
        deep = _values(rows, group, _DEEP)["entropy"]
        others = {k: _values(rows, group, k)["entropy"] for k in told.kinds if k != _DEEP}
        name = min(others, key=lambda kind: statistics.fmean(others[kind]))
        gains = [a - b for a, b in zip(deep, others[name], strict=True)]
        floor = next(
            row["entropy"] for row in rows if (row["group"], row["ensemble"]) == (group, _CHAINS)
        )
        found[group] = {
            "ensemble": name,
            "gain": _rounded(statistics.fmean(gains)),
            "gain_min": _rounded(min(gains)),
            "floor": _rounded(floor),
            "holds": int(min(gains) > floor),
        }
    return found


def _values(rows: Sequence[Row], group: str, kind: str) -> dict[str, list[float]]:
    """Each figure of an ensemble's repeats, in order."""
    own = [row for row in rows if (row["group"], row["ensemble"]) == (group, kind)]
    return {key: [row[key] for row in own] for key in FIGURES if key in own[0]}


def _curves(told: Told, rows: Sequence[Row]) -> dict[str, list[Curve]]:
    """What is drawn over the groups: a curve a kind, and the reference's or chain to chain."""
    wanted = ["entropy", "mutual_information", "total_variation"]
    if told.chains is None:
        doubt = ["mean_entropy", "mean_mutual_information"]
        wanted = ["nll", "ece"] if told.task.map is None else doubt
    if any(group.outside for group in told.task.groups.values()):
        wanted.append("auroc_entropy")
    found = {}
    for figure in wanted:
        curves = []
        for kind in (*told.kinds, _CHAINS if figure in _APART else _REFERENCE):
            points = {}
            for group in told.task.groups:
                own = [
                    row[figure]
                    for row in rows
                    if (row["group"], row["ensemble"]) == (group, kind) and figure in row
                ]
                if own:
                    deviation = statistics.stdev(own) if len(own) > 1 else 0.0
                    points[group] = (statistics.fmean(own), deviation)
            if points:
                curves.append(Curve(kind, points, dashed=kind in (_CHAINS, _REFERENCE)))
        found[figure] = curves
    return found


def _maps(told: Told) -> dict[str, Mixed]:
    """The reference and the first ensemble of each kind, on the lattice."""
    found = {}
    if told.chains is not None:
        found[_REFERENCE] = pooled(told.chains["plane"])
    return found | {kind: told.ensembles[kind][0]["plane"] for kind in told.kinds}


def _table(rows: Sequence[Row]) -> str:
    stream = io.StringIO()
    columns = ("group", "ensemble", "family", "p", "repeat", *FIGURES)
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _rounded(value) for key, value in row.items()})
    return stream.getvalue()


def _rounded(value: Any) -> Any:
    return round(value, _DIGITS) if isinstance(value, float) else value

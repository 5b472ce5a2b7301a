"""A model card: one page of Markdown on a trained network, from what its run recorded.

Sections after Mitchell et al., Model Cards for Model Reporting (arXiv:1810.03993): what it is, what
it was trained on, how it does, where it fails to commute, what it took, where it comes from, what
it cannot tell. Every figure is one that a stage measured; what nobody measured is said to be so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from geocore.report.headline import MEASURES, headline
from geocore.report.snapshot import Snapshot
from geocore.report.words import bound_of, figure, plain, shown

__all__ = ["model_card"]

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&])")
_TRAINED = ("train", "ensemble")
_DIGESTS = ("data/", *(f"results/{name}/" for name in _TRAINED))
_KINDS = ("mean", "max", "floor")
_ERROR = re.compile(
    rf"evaluate\.equivariance\.(?P<group>\w+)\.(?P<layer>.+)\.(?P<what>{'|'.join(_KINDS)})"
)
_SECTIONS = {
    "The network": "model",
    "Its data": "data",
    "On the sphere": "project",
    "The grid": "resample",
    "Its training": "train",
}


def model_card(snapshot: Snapshot) -> str:
    """The card of one state of the project, as Markdown; equal snapshots give equal text.

    All that it quotes is text: Markdown and HTML in a name or a parameter show as they are written.
    """
    parts = [
        _title(snapshot),
        *(
            f"## {title}\n\n{_table(('parameter', 'value'), rows)}"
            for title, section in _SECTIONS.items()
            if (rows := list(_leaves(snapshot.params, section)))
        ),
        "## How it does\n\n" + _figures(snapshot),
        "## Symmetry\n\n" + _symmetry(snapshot),
        "## Bounds\n\n" + _gates(snapshot),
        "## What it took\n\n" + _cost(snapshot),
        "## Where it comes from\n\n" + _origin(snapshot),
        "## What this card does not tell\n\n" + _limits(snapshot),
    ]
    return "\n\n".join(parts) + "\n"


def _title(snapshot: Snapshot) -> str:
    network = str(snapshot.params.get("model.name", "no network"))
    source = str(snapshot.params.get("data.source", "unknown data"))
    task = str(snapshot.params.get("train.task", "no task"))
    told = f"{_text(network)} on {_text(source)}"
    about = f"Task: {_text(task)}. {_text(snapshot.kind.capitalize())} {_text(snapshot.name)}"
    return f"# {told}\n\n{about}, code {_text(snapshot.base)}."


def _figures(snapshot: Snapshot) -> str:
    found = headline(snapshot.metrics)
    samples = snapshot.metrics.get("evaluate.test.n")
    lines = [
        _table(
            ("on the test split", *MEASURES.values()),
            ((f"{m.predictor.name}: {m.predictor.about}", *m.values.values()) for m in found),
        )
    ] if found else []  # fmt: skip
    others = [
        (name.removeprefix("evaluate.test."), value)
        for name, value in sorted(snapshot.metrics.items())
        if re.fullmatch(r"evaluate\.test\.[a-z_0-9]+", name)
        and name.rsplit(".", 1)[1] not in (*MEASURES, "n")
    ]
    if others:
        lines.append(_table(("of the network, on the test split", "value"), others))
    if samples is not None:
        lines.append(f"{figure(samples)} test samples.")
    return "\n\n".join(lines) or "No stage has measured it on the test split."


def _symmetry(snapshot: Snapshot) -> str:
    errors: dict[tuple[str, str], dict[str, float | None]] = {}
    for name, value in snapshot.metrics.items():
        if found := _ERROR.fullmatch(name):
            errors.setdefault((found["group"], found["layer"]), {})[found["what"]] = value
    if not errors:
        return "Nobody measured how nearly it commutes with rotations."
    rows = [(*place, *map(values.get, _KINDS)) for place, values in sorted(errors.items())]
    return _table(("rotations", "layer", "mean error", "largest", "of interpolation alone"), rows)


def _gates(snapshot: Snapshot) -> str:
    rows = [
        (
            name,
            gate.get("value"),
            bound_of(gate),
            "holds" if gate.get("passed") else "does not hold",
        )
        for name, gate in sorted(snapshot.gates.items())
    ]
    return _table(("gate", "measured", "bound", ""), rows) if rows else "No gate was set."


def _cost(snapshot: Snapshot) -> str:
    stages = _stages(snapshot)
    rows = [
        (
            name,
            told.get("wall_seconds"),
            told.get("cpu_seconds"),
            told.get("peak_rss_mib"),
            told.get("device"),
            ", ".join(f"{count} {how}" for how, count in told.get("pieces", {}).items()),
        )
        for name, told in stages.items()
    ]
    head = ("stage", "seconds", "of processors", "peak memory, MiB", "device", "pieces")
    if not rows:
        return "The ledger here has no run that gave these results."
    machines = {str(told.get("platform")) for told in stages.values() if told.get("platform")}
    where = f"\n\nOn {', '.join(map(_text, sorted(machines)))}." if machines else ""
    return _table(head, rows) + where


def _origin(snapshot: Snapshot) -> str:
    rows: list[tuple[Any, ...]] = [("code", snapshot.base)]
    stages = _stages(snapshot)
    for name in _TRAINED:
        told = stages.get(name, {})
        rows += [(f"run of {name}", told["run"])] if "run" in told else []
        rows += [
            (f"seed of {name}: {leaf}", value) for leaf, value in told.get("seeds", {}).items()
        ]
        rows += [(f"code of {name}", told["code_digest"])] if "code_digest" in told else []
    rows += [
        (f"digest of {path}", digest)
        for path, digest in sorted(snapshot.data.items())
        if path.startswith(_DIGESTS)
    ]
    libraries: Mapping[str, str] = next(
        (told["libraries"] for told in stages.values() if "libraries" in told), {}
    )
    rows += [(f"version of {name}", version) for name, version in sorted(libraries.items())]
    return _table(("what", "which"), rows)


def _limits(snapshot: Snapshot) -> str:
    told = [
        "Figures are of the test split of its own data: they say nothing of other cameras, poses "
        "or populations.",
    ]
    if snapshot.params.get("project.rotation") == "none":
        told.append("It was trained on samples as they came, none of them rotated.")
    if not any(name.startswith("evaluate.ensemble.") for name in snapshot.metrics):
        told.append("One training with one seed: how much another seed would move is not known.")
    if "evaluate.test.ece" not in snapshot.metrics:
        told.append("Its calibration was not measured.")
    told += snapshot.notes
    return "\n".join(f"- {_text(line)}" for line in told)


def _stages(snapshot: Snapshot) -> Mapping[str, Mapping[str, Any]]:
    found = snapshot.record.get("stages", {})
    return found if isinstance(found, Mapping) else {}


def _leaves(params: Mapping[str, Any], section: str) -> Iterator[tuple[str, Any]]:
    """The section's leaves that are set: a null key is one that its network or source lacks."""
    for leaf, value in params.items():
        if leaf.startswith(f"{section}.") and value is not None:
            yield leaf.removeprefix(f"{section}."), value


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return figure(value)
    return _text(value if isinstance(value, str) else shown(value))


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", plain(text))

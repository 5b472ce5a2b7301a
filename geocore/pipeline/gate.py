"""``gate``: fails, by name and figure, when a bound of ``params.yaml`` is passed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geocore.config.foreign_json import parse_json
from geocore.config.gate import GateParams
from geocore.errors import GateError, UserError
from geocore.pipeline.stage import Job, Manifest, Port, Stage

__all__ = ["STAGE", "gates"]

# Of each stage with bounds in `gate`: the bound -> what it is about, which side it bounds, and
# where the stage's metrics.json has it. Only a network that answers pixel by pixel has `headline`.
_BOUNDS: dict[str, dict[str, tuple[str, str, tuple[str, ...]]]] = {
    "evaluate": {
        "accuracy_min": ("accuracy", "min", ("test", "accuracy")),
        "nll_max": ("nll", "max", ("test", "nll")),
        "ece_max": ("ece", "max", ("test", "ece")),
        "quarter_turn_error_max": (
            "quarter_turn_error", "max", ("equivariance", "quarter_turn", "logits", "max")
        ),
        "rotation_error_max": (
            "rotation_error", "max", ("equivariance", "so3", "logits", "mean")
        ),
        "ensemble_nll_ratio_max": (
            "nll of the members' mean logits over the chosen member's", "max",
            ("ensemble_logits", "test", "nll_ratio"),
        ),
        "ensemble_ece_ratio_max": (
            "calibration error of the members' mean logits over the mean member's", "max",
            ("ensemble_logits", "test", "ece_ratio"),
        ),
        "ntk_accuracy_min": ("ntk's accuracy", "min", ("ntk", "test", "accuracy")),
        "miou_min": ("mean IoU", "min", ("headline", "miou")),
        "depth_rmse_max": ("RMSE of the depth in metres", "max", ("headline", "rmse")),
    },
    "synthesize": {
        "firmware_mismatches_max": ("firmware's mismatches", "max", ("test", "mismatches")),
        "firmware_loss_max": ("firmware's loss of accuracy", "max", ("test", "accuracy_loss")),
    },
}  # fmt: skip
_WORDS = {"min": "at least", "max": "at most"}


def gates(stage: str, metrics: Mapping[str, Any], params: GateParams) -> dict[str, dict[str, Any]]:
    """Each bound on ``stage`` that is not null against what was measured, under its own name.

    ``{"metric", "value", "bound", "sense", "passed"}``. A value that could not be measured is
    null and does not pass; ``reason`` then says why. So is one that the network's task does not
    give. A bound on what this pipeline does not have (an ensemble, a kernel twin) is left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, (metric, sense, path) in _BOUNDS[stage].items():
        bound = getattr(params, name)
        if bound is None or path[0] not in metrics:
            continue
        value: Any = metrics
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        passed = value is not None and (value >= bound if sense == "min" else value <= bound)
        found[name] = {
            "metric": metric, "value": value, "bound": bound, "sense": sense, "passed": passed
        }  # fmt: skip
        if value is None:
            reason = metrics[path[0]].get(f"{path[1]}_reason", "it could not be measured")
            found[name]["reason"] = reason
    return found


def make(job: Job) -> Manifest:
    """The names of the bounds that are kept; a ``UserError`` with a line for each that is not."""
    gates: dict[str, dict[str, Any]] = {}
    for name, port in STAGE.takes.items():
        if port.kind == "metrics" and name in job.inputs:
            gates |= _read(job.input(name), port.path)
    failed = {name: gate for name, gate in gates.items() if not gate["passed"]}
    if failed:
        raise GateError(*(_told(name, gate) for name, gate in failed.items()))
    for name, gate in gates.items():
        job.progress.say(f"gate: {_measured(gate)}, {_allowed(gate)}: passed (gate.{name})")
    return {"passed": list(gates)}


def write(job: Job, manifest: Manifest) -> None:
    """Nothing is written: the figures stand in each stage's metrics already."""
    del job, manifest


def _told(name: str, gate: dict[str, Any]) -> str:
    why = f" ({gate['reason']})" if gate["value"] is None else ""
    return f"gate: {_measured(gate)}{why}; expected {_allowed(gate)} (gate.{name})"


def _measured(gate: dict[str, Any]) -> str:
    return f"{gate['metric']} is {_figure(gate)}"


def _allowed(gate: dict[str, Any]) -> str:
    return f"{_WORDS[gate['sense']]} {gate['bound']:g}"


def _figure(gate: dict[str, Any]) -> str:
    """The value in as few digits, at least four, as still lie on its own side of the bound."""
    value, bound = gate["value"], gate["bound"]
    if value is None:
        return "null"
    for digits in range(4, 17):
        text = f"{value:.{digits}g}"
        if (float(text) > bound) == (value > bound) and (float(text) < bound) == (value < bound):
            return text
    return repr(value)


def _read(path: Path, shown: str) -> dict[str, dict[str, Any]]:
    try:
        gates = parse_json(path.read_bytes())
        for gate in gates.values():
            complete = {"metric", "value", "bound", "sense", "passed"} <= gate.keys()
            if not complete or gate["sense"] not in _WORDS:
                raise KeyError
    except (ValueError, KeyError, AttributeError, TypeError):
        maker = Path(shown).parent.name
        raise UserError(f"{shown}: holds no gates; expected what {maker} wrote") from None
    found: dict[str, dict[str, Any]] = gates
    return found


STAGE = Stage(
    name="gate",
    summary="fail, by name and figure, when a bound of params.yaml is passed",
    sections=(),
    takes={
        "evaluate": Port("results/evaluate/gates.json", "metrics"),
        "synthesize": Port("results/synthesize/gates.json", "metrics", optional=True),
        # Not read: a dependency, so that the page is there when a bound is passed.
        "report": Port("results/report/report.html", "page", optional=True),
    },
    gives={},
    code=("geocore.pipeline.gate",),
    make=make,
    write=write,
)

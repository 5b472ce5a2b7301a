"""The gate: which bounds hold, and what is said of those that do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from geocore.config.gate import GateParams
from geocore.config.load import read_yaml
from geocore.errors import UserError
from geocore.pipeline.gate import STAGE, gates
from geocore.pipeline.run import make, open_job

ROOT = Path(__file__).parents[2]
METRICS: dict[str, Any] = {
    "test": {"accuracy": 0.9312, "nll": 0.25, "ece": 0.1},
    "equivariance": {"quarter_turn": {"logits": {"mean": 1e-7, "max": 2e-7}}},
}


def bounds(**given: float) -> GateParams:
    nothing = dict.fromkeys(GateParams.model_fields)
    return GateParams.model_validate({**nothing, **given})


def run_gate(root: Path, written: object) -> list[str]:
    """What the stage says of a gates.json: its lines, or the names that passed."""
    (root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    stages = read_yaml(ROOT / "dvc.yaml")
    optional = {port.path for port in STAGE.takes.values() if port.optional}
    gate = stages["stages"]["gate"]
    gate["deps"] = [dep for dep in gate["deps"] if dep not in optional]
    (root / "dvc.yaml").write_text(yaml.safe_dump(stages))
    for name in ("geocore", "flows", "tasks"):
        if not (root / name).exists():
            (root / name).symlink_to(ROOT / name)
    path = root / "results/evaluate/gates.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(written if isinstance(written, str) else json.dumps(written))
    job = open_job(STAGE, root)
    try:
        manifest = make(job)
    except UserError as error:
        return list(error.lines)
    STAGE.write(job, manifest)
    passed: list[str] = manifest["passed"]
    return passed


def test_bounds_on_either_side() -> None:
    found = gates(
        "evaluate", METRICS, bounds(accuracy_min=0.95, nll_max=0.3, quarter_turn_error_max=1e-7)
    )
    assert found == {
        "accuracy_min": {
            "metric": "accuracy", "value": 0.9312, "bound": 0.95, "sense": "min", "passed": False
        },
        "nll_max": {
            "metric": "nll", "value": 0.25, "bound": 0.3, "sense": "max", "passed": True
        },
        "quarter_turn_error_max": {
            "metric": "quarter_turn_error", "value": 2e-7, "bound": 1e-7, "sense": "max",
            "passed": False,
        },
    }  # fmt: skip


def test_a_bound_that_is_met_exactly_is_kept() -> None:
    found = gates("evaluate", METRICS, bounds(accuracy_min=0.9312, ece_max=0.1))
    assert all(gate["passed"] for gate in found.values())


def test_bounds_on_what_the_pipeline_does_not_have_are_left_out() -> None:
    assert gates("evaluate", METRICS, bounds(ntk_accuracy_min=0.9, nll_max=0.3)).keys() == {
        "nll_max"
    }
    more = {**METRICS, "ntk": {"test": {"accuracy": 0.8}}}
    found = gates("evaluate", more, bounds(ntk_accuracy_min=0.9))
    assert found["ntk_accuracy_min"]["passed"] is False


def test_each_stage_has_its_own_bounds() -> None:
    firmware = {"test": {"mismatches": 1, "accuracy_loss": -0.01}}
    given = bounds(firmware_mismatches_max=0, firmware_loss_max=0.02, accuracy_min=0.95)
    found = gates("synthesize", firmware, given)
    assert {name: gate["passed"] for name, gate in found.items()} == {
        "firmware_mismatches_max": False,
        "firmware_loss_max": True,
    }


def test_null_leaves_a_metric_ungated(tmp_path: Path) -> None:
    assert gates("evaluate", METRICS, bounds()) == {}
    assert run_gate(tmp_path, {}) == []


def test_what_could_not_be_measured_does_not_pass(tmp_path: Path) -> None:
    reason = "faces is (0, 1); expected a set that 90 degrees keep"
    metrics = {
        **METRICS, "equivariance": {"quarter_turn": None, "quarter_turn_reason": reason}
    }  # fmt: skip
    found = gates("evaluate", metrics, bounds(quarter_turn_error_max=1e-4))
    assert found["quarter_turn_error_max"]["passed"] is False
    assert run_gate(tmp_path, found) == [
        "gate: quarter_turn_error is null (faces is (0, 1); expected a set that 90 degrees keep); "
        "expected at most 0.0001 (gate.quarter_turn_error_max)"
    ]


def test_every_failure_is_a_line(tmp_path: Path) -> None:
    found = gates("evaluate", METRICS, bounds(accuracy_min=0.95, nll_max=0.2, ece_max=0.1))
    assert run_gate(tmp_path, found) == [
        "gate: accuracy is 0.9312; expected at least 0.95 (gate.accuracy_min)",
        "gate: nll is 0.25; expected at most 0.2 (gate.nll_max)",
    ]


def test_the_names_that_passed(tmp_path: Path) -> None:
    found = gates("evaluate", METRICS, bounds(accuracy_min=0.9, ece_max=0.2))
    assert run_gate(tmp_path, found) == ["accuracy_min", "ece_max"]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.949999, "0.949999"), (0.94999999999, "0.94999999999"), (0.2, "0.2")]
)
def test_a_near_miss_is_not_rounded_onto_its_bound(
    tmp_path: Path, value: float, shown: str
) -> None:
    metrics = {**METRICS, "test": {**METRICS["test"], "accuracy": value}}
    assert run_gate(tmp_path, gates("evaluate", metrics, bounds(accuracy_min=0.95))) == [
        f"gate: accuracy is {shown}; expected at least 0.95 (gate.accuracy_min)"
    ]


@pytest.mark.parametrize(
    "written", ["{", "[1]", '{"a": 1}', '{"a": {"metric": "nll"}}', '{"a": {}}']
)
def test_a_broken_file_is_a_line(tmp_path: Path, written: str) -> None:
    assert run_gate(tmp_path, written) == [
        "results/evaluate/gates.json: holds no gates; expected what evaluate wrote"
    ]


def test_bounds_on_pixels_are_held_against_the_headline() -> None:
    dense: dict[str, Any] = {
        "test": {"all": {"sphere": {"miou": 0.5}}}, "headline": {"miou": 0.5, "nll": 0.2}
    }  # fmt: skip
    found = gates("evaluate", dense, bounds(miou_min=0.45, depth_rmse_max=2.0, accuracy_min=0.9))
    assert found["miou_min"]["passed"] is True
    # Another task's: it could not be measured, and so does not pass.
    for name in ("depth_rmse_max", "accuracy_min"):
        assert found[name]["value"] is None
        assert found[name]["passed"] is False
        assert found[name]["reason"] == "it could not be measured"
    assert gates("evaluate", METRICS, bounds(miou_min=0.5)) == {}

"""One line for a failed ``dvc repro``, from what it wrote."""

from __future__ import annotations

import pytest

from geocore.pipeline.dvcfailure import failure

BEFORE = [
    "Stage 'fetch' didn't change, skipping",
    "Running stage 'train':",
    "> python -m flows.train",
    "error: of an earlier stage, which went on",
    "Updating lock file 'dvc.lock'",
]


def ended(stage: str, *lines: str, code: int) -> list[str]:
    """The output of a pipeline whose stage ``stage`` wrote ``lines`` and exited with ``code``."""
    command = f"python -m flows.{stage.rpartition(':')[2]}"
    running = [f"Running stage '{stage}':", f"> {command}", *lines]
    why = f"failed to run: {command}, exited with {code}"
    return [*BEFORE, *running, f"ERROR: failed to reproduce '{stage}': {why}"]


def test_a_gate_names_metric_value_and_bound() -> None:
    accuracy = "gate: accuracy is 0.91; expected at least 0.95 (gate.accuracy_min)"
    nll = "gate: nll is 2.39; expected at most 1 (gate.nll_max)"
    noise = "12:00:00.000 | ERROR   | Task run 'gate-0c0' - Finished in state Failed()"
    error = failure(255, ended("gate", noise, f"error: {accuracy}", f"error: {nll}", code=1))
    assert error.lines == (
        "stage gate failed: accuracy is 0.91; expected at least 0.95 (gate.accuracy_min); "
        "nll is 2.39; expected at most 1 (gate.nll_max)",
    )
    assert error.exit_code == 1


def test_a_mistake_keeps_its_exit_code() -> None:
    line = 'params.yaml: train.lr is "fast"; expected a number above 0 and at most 10'
    error = failure(255, ended("studies/mine/dvc.yaml:train", f"error: {line}", code=2))
    assert str(error) == f"stage studies/mine/dvc.yaml:train failed: {line}"
    assert error.exit_code == 2


def test_a_fault_shows_the_end_of_its_traceback() -> None:
    lines = ["Traceback (most recent call last):", "  File", "RuntimeError: no such thing", ""]
    error = failure(255, ended("train", *lines, code=1))
    assert str(error) == "stage train failed with exit code 1: RuntimeError: no such thing"
    assert error.exit_code == 1


@pytest.mark.parametrize(
    ("code", "lines", "told", "exit_code"),
    [
        (255, [*BEFORE, "ERROR: Stage 'x' not found"], "dvc repro: Stage 'x' not found", 2),
        (-9, BEFORE, "dvc repro: ended by signal 9; expected exit code 0", 1),
        (3, [], "dvc repro: exit code 3; expected 0", 1),
        (
            255,
            [*BEFORE, "ERROR: failed to reproduce 'train': output 'x' does not exist"],
            "stage train failed: output 'x' does not exist",
            1,
        ),
    ],
)
def test_what_dvc_says_itself(code: int, lines: list[str], told: str, exit_code: int) -> None:
    error = failure(code, lines)
    assert error.lines == (told,)
    assert error.exit_code == exit_code


def test_a_long_line_is_cut() -> None:
    assert len(str(failure(255, ended("train", "x" * 10_000, code=1)))) < 400

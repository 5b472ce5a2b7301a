"""The stage ``orbits``: what is written, parts that are found again, a broken law told by name."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from geocore.errors import GateError
from geocore.pipeline import orbit_measuring, orbit_training
from geocore.pipeline.orbits import STAGE
from geocore.pipeline.run import make, whole
from geocore.pipeline.stage import Job
from geocore.runs.slots import Slots
from tests.pipeline.orbit_jobs import params
from tests.pipeline.stages import study_job


def job(root: Path, task: str, notes: dict[str, Any] | None = None, **changes: Any) -> Job:
    return study_job(STAGE, root, params(task, **changes), notes=notes)


@pytest.mark.parametrize(
    ("task", "pictures"),
    [
        ("vector", {"members", "steps", "orbits"}),
        ("digits", {"members", "steps", "osp", "orbits"}),
        ("ising", {"members", "steps"}),
    ],
)
def test_figures_are_written(tmp_path: Path, task: str, pictures: set[str]) -> None:
    here = job(tmp_path, task)
    assert not whole(here)
    manifest = make(here)
    assert whole(here) and manifest["broken"] == []
    STAGE.write(here, manifest)
    folder = tmp_path / "studies/mine/results/orbits"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["closed"]["worst"] == max(metrics["closed"]["steps"].values()) < 1e-12
    assert {path.stem for path in (folder / "pictures").iterdir()} == pictures
    with (folder / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    ensembles = [row["ensemble"] for row in rows]
    assert set(ensembles) == {"augmented", "plain", "closed"} and ensembles[-1] == "closed"
    told = metrics["augmented"]["inputs"]["test"]
    for part, steps in told.items():
        for step, law in steps.items():
            mine = [
                row for row in rows
                if (row["ensemble"], row["inputs"], row["orbit"], row["step"])
                == ("augmented", "test", part, step)
            ]  # fmt: skip
            assert [int(row["members"]) for row in mine] == [1, 4, 6]
            assert float(mine[0]["deviation"]) == law["one"]["deviation"]
            assert float(mine[-1]["deviation"]) == law["all"]["deviation"]
            assert ("osp" in law["all"]) == (task == "digits")
    # Before the first step nothing tells the two apart.
    starts = [metrics[name]["inputs"]["test"] for name in ("augmented", "plain")]
    exact = metrics["exact"]["group"]
    assert starts[0][exact]["0"] == starts[1][exact]["0"]
    assert starts[0][exact]["5"] != starts[1][exact]["5"]
    again = (folder / "table.csv").read_bytes()
    (folder / "table.csv").write_text("altered")
    assert not whole(here)
    make(here)
    assert (folder / "table.csv").read_bytes() == again


def test_a_killed_run_goes_on_and_an_ensemble_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[int, bool]] = []
    answers = orbit_training.member_answers

    def counted(
        task: Any, chosen: Any, seeds: Any, augmented: bool, *rest: Any, **kept: Any
    ) -> Tensor:
        if len(trained) == 2 and not survived:
            raise KeyboardInterrupt
        trained.append((len(seeds), augmented))
        return answers(task, chosen, seeds, augmented, *rest, **kept)

    monkeypatch.setattr(orbit_measuring, "member_answers", counted)
    survived = False
    with pytest.raises(KeyboardInterrupt):
        make(job(tmp_path, "ising"))
    assert trained == [(4, True), (2, True)]
    survived = True
    make(job(tmp_path, "ising"))
    assert trained[2:] == [(4, False), (2, False)]
    whole_run = (tmp_path / "studies/mine/results/orbits/table.csv").read_bytes()
    other = tmp_path / "other"
    make(job(other, "ising"))
    assert (other / "studies/mine/results/orbits/table.csv").read_bytes() == whole_run
    del trained[:]
    STAGE.make(job(tmp_path, "ising", members=8))  # the first chunk of each line is there
    assert trained == [(4, True), (4, False)]


def test_a_chunk_goes_on_from_its_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed among members and in the orbit-closed ensemble: no step twice, the same bytes."""
    make(job(tmp_path / "plain", "ising"))
    steps: list[int] = []
    save = Slots.save

    def counted(self: Slots, step: int, fill: Callable[[Path], None]) -> None:
        save(self, step, fill)
        steps.append(step)
        if len(steps) in (5, 13):
            raise KeyboardInterrupt

    monkeypatch.setattr(Slots, "save", counted)
    here = job(tmp_path / "killed", "ising")
    runtime = here.sections["runtime"].model_copy(update={"checkpoint_every": 2})
    object.__setattr__(here, "sections", {**here.sections, "runtime": runtime})
    for parts in (1, 4):
        with pytest.raises(KeyboardInterrupt):
            make(here)
        verbs = [piece.manifest["verb"] for piece in here.store.pieces()]
        assert verbs.count("orbits-members") == parts and "checkpoint" in verbs
    make(here)
    # Six steps a part, and answers are asked after the third, which no checkpoint stands at.
    assert steps == [2, 4, 6] * 5
    verbs = [piece.manifest["verb"] for piece in here.store.pieces()]
    assert verbs.count("orbits-closed") == 1 and "checkpoint" not in verbs
    metrics, table = (
        "studies/mine/results/orbits/" + name for name in ("metrics.json", "table.csv")
    )
    for name in (metrics, table):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_a_broken_law_fails_when_all_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = orbit_training.closed_answers

    def off(*given: Any, **kept: Any) -> Tensor:
        found = closed(*given, **kept)
        found[1, :, 1] += 0.5  # after 3 steps, for the first quarter turn
        return found

    monkeypatch.setattr(orbit_measuring, "closed_answers", off)
    here = job(tmp_path, "ising")
    manifest = make(here)
    metrics = json.loads((tmp_path / "studies/mine/results/orbits/metrics.json").read_text())
    worst = metrics["closed"]["steps"]["3"]
    assert worst > 1e-3 and whole(here)
    with pytest.raises(GateError) as told:
        STAGE.write(here, manifest)
    assert told.value.lines == (
        f"orbits: the orbit-closed ensemble deviates by {worst:.4g} after 3 steps; "
        "expected at most 1e-12 (orbits.closed_max)",
    )


def test_no_number_is_broken() -> None:
    assert orbit_measuring.broken({0: 1e-13, 1: float("nan")}, 1e-12) == [
        "orbits: the orbit-closed ensemble deviates by nan after 1 steps; expected at most 1e-12 "
        "(orbits.closed_max)"
    ]
    assert torch.tensor(1e-12) <= 1e-12

"""What ``repro`` notes and publishes, and that its report does not decide how the night ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows import repro
from geocore.errors import UserError
from geocore.pipeline.lastgood import last_good
from geocore.report.reading import read_snapshot
from geocore.runs.digest import digest_file
from geocore.runs.home import ledger_folder
from geocore.runs.ledger import Ledger
from tests.report.scene import Project

METRICS = "results/evaluate/metrics.json"
Answer = tuple[int, list[str]]
GATE = "ERROR: failed to reproduce 'gate': failed to run: python -m flows.gate, exited with 1"
BOUND = "error: gate: accuracy is 0.5; expected at least 0.9 (gate.accuracy_min)"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.commit("a state")
    return made


class Night:
    """``repro`` of the project with a DVC that answers at once, and artifacts kept by key."""

    def __init__(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project = project
        self.dvc: Answer = (0, [])
        self.said: list[str] = []
        self.published: list[str] = []
        self.refuse: Callable[[], None] = lambda: None
        monkeypatch.setattr(repro, "run_tethered", lambda *_, **__: self.dvc)
        for kind in ("link", "markdown", "table"):
            monkeypatch.setattr(repro, f"create_{kind}_artifact", self._publish)

    def _publish(self, *, key: str, **_: Any) -> None:
        self.refuse()
        self.published.append(key)

    def run(self) -> dict[str, Any]:
        """The entry that it leaves; a ``UserError`` as it raises it."""
        repro._run(self.project.root, [], self.said.append)
        return self.entry()

    @property
    def ledger(self) -> Ledger:
        return Ledger(ledger_folder(self.project.root), self.project.root)

    def entry(self) -> dict[str, Any]:
        return self.ledger.runs("repro")[0]


@pytest.fixture
def night(project: Project, monkeypatch: pytest.MonkeyPatch) -> Night:
    return Night(project, monkeypatch)


def gone() -> None:
    raise httpx.ConnectError("Connection refused")


def test_it_names_the_runs_that_gave_its_results_not_the_newest(night: Night) -> None:
    """Seed 0, seed 1, the first checked out again: DVC finds all of it up to date."""
    root = night.project.root
    given = {"0": digest_file(root / METRICS), "1": "other"}
    for seed, digest in given.items():
        night.project.entry(
            f"20260101T00000{seed}-evaluate-aaaaaa", "evaluate", outs={METRICS: digest},
            started=f"2026-01-01T00:00:0{seed}+00:00",
        )  # fmt: skip
    first = "20260101T000000-evaluate-aaaaaa"
    entry = night.run()
    assert entry["stage_runs"] == {"evaluate": first}
    assert night.published == ["card", "metrics"]
    good = last_good(night.ledger, [], root)
    assert good is not None
    for found in (good, read_snapshot(root, entry["run"])):
        assert found.record["stages"]["evaluate"]["run"] == first
        assert found.record["whole"]["run"] == entry["run"]


def test_a_good_night_without_a_server_is_good_and_the_next_is_compared_with_it(
    night: Night,
) -> None:
    night.refuse = gone
    entry = night.run()
    told = "ConnectError: Connection refused"
    assert (entry["state"], entry["report_error"]) == ("done", told)
    assert night.said == [f"not all is reported: {told}"]
    assert (night.project.root / f".geocore/cards/{entry['run']}.md").is_file()
    night.refuse = lambda: None
    after = night.run()
    assert after["compared_with"] == entry["run"]
    assert "report_error" not in after
    assert night.published == ["comparison", "card", "metrics"]


def test_a_good_night_on_results_that_cannot_be_read(night: Night) -> None:
    night.project.write(METRICS, "NaN")
    entry = night.run()
    assert entry["state"] == "done"
    assert entry["report_error"].startswith(f"workspace: {METRICS}: no JSON object; ")
    assert last_good(night.ledger, [], night.project.root) is None, "it noted nothing to go by"


@pytest.mark.parametrize("refuse", [gone, lambda: None])
def test_a_gate_fails_the_night_whatever_its_report(
    night: Night, refuse: Callable[[], None]
) -> None:
    night.dvc, night.refuse = (1, [BOUND, GATE]), refuse
    with pytest.raises(UserError, match=r"accuracy is 0\.5; expected at least 0\.9"):
        night.run()
    entry = night.entry()
    assert entry["state"] == "failed"
    assert "accuracy is 0.5" in entry["error"]
    assert ("report_error" in entry) == (refuse is gone)
    assert json.dumps(entry["snapshot"])
    assert last_good(night.ledger, [], night.project.root) is None

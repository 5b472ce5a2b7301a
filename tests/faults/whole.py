"""The suite as a whole, which ``make faults`` is: its rows are kept, and make the page.

A run that was stopped goes on with the tests that have not passed yet, while code and seed are the
same. One in which a test failed is over: the next begins anew, so that no second try hides it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import pytest

from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_file, digest_json
from geocore.runs.home import geocore_home

__all__ = ["ROWS", "Whole", "asked_for", "state"]

ROOT = Path(__file__).parents[2]
ROWS = geocore_home(ROOT) / "faults"
_CODE = ("geocore", "flows", "tasks", "tests/faults", "tests/fuzz")


def asked_for(config: pytest.Config) -> bool:
    """Whether this session is all that is marked, and nothing less: that of ``make faults``.

    Given the two folders that hold such tests, pytest need not import all others.
    """
    option = config.option
    less = ("keyword", "deselect", "lf", "failedfirst", "stepwise", "collectonly", "ignore")
    return (
        option.markexpr == "faults"
        and {arg.rstrip("/") for arg in config.args} in ({"tests"}, {"tests/faults", "tests/fuzz"})
        and not any(getattr(option, name, None) for name in less)
        and not hasattr(config, "workerinput")
        and not getattr(option, "numprocesses", None)
    )


def state(root: Path, seed: str) -> str:
    """A digest of what decides a figure of the page: the code, and the seed of all draws."""
    files = sorted(path for folder in _CODE for path in (root / folder).rglob("*.py"))
    return digest_json([seed, [[p.relative_to(root).as_posix(), digest_file(p)] for p in files]])


class Whole:
    """One run of the suite, in ``folder``: ``run.json`` and a file a row. A plugin of pytest's."""

    def __init__(self, folder: Path, now: str) -> None:
        self._file, self._state, self._over = folder / "run.json", now, False
        self._passed = self._begun()
        if not self._passed:
            for path in folder.glob("*.json"):
                path.unlink()
        self._write()

    @property
    def passed(self) -> Collection[str]:
        """The tests that this run has passed already."""
        return frozenset(self._passed)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that has passed; with one that has failed the run is over."""
        if report.when == "call" and report.passed:
            self._passed.add(report.nodeid)
        self._over |= report.failed
        self._write()

    def end(self) -> None:
        """All has passed."""
        self._over = True
        self._write()

    def _begun(self) -> set[str]:
        """What a run of the same state had passed when it was stopped."""
        try:
            found = json.loads(self._file.read_bytes())
            goes_on = found["state"] == self._state and not found["over"]
            return set(found["passed"]) if goes_on else set()
        except (OSError, ValueError, KeyError, TypeError):
            return set()

    def _write(self) -> None:
        about = {"state": self._state, "over": self._over, "passed": sorted(self._passed)}
        write_json(self._file, about)

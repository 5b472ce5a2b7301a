"""Every reader on mutated inputs: taken or refused in a line, at once, in little memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from geocore.errors import UserError
from geocore.report.snapshot import Snapshot
from tests.faults.rows import Row, record
from tests.fuzz.reading import READERS, fuzz

pytestmark = pytest.mark.faults
MANY = 5000  # of a reader that takes a millisecond; 22 of those and 12 slower: 1.3 x 10^5 in all
FEWER = 1700  # of one that builds a network or parses YAML
SLOWER = (
    "checkpoint", "checkpoint numbers", "chip", "chip words", "dvc.lock",
    "dvc.lock of a commit", "dvc.yaml", "members", "model.json", "params", "presets", "weights",
)  # fmt: skip
SHORT = ("idx packed", "parquet images", "manifest signed", "ledger", "params", "snapshot")


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many(name: str, tmp_path: Path) -> None:
    inputs = FEWER if name in SLOWER else MANY
    found = fuzz(name, inputs, tmp_path / "witnesses")
    told = f"{found.refused:,} refused in a line, the others taken"
    if not found.refused:  # a cache's own readers tell damage to whoever asks, and go on
        told = "damage is told in a line, and counts as missing"
    record(Row("a mutated input", name, found.inputs, unclear=len(found.faults), message=told))
    assert found.faults == {} and found.inputs >= inputs // 2


@pytest.mark.parametrize("name", SHORT)
def test_a_few(name: str, tmp_path: Path) -> None:
    found = fuzz(name, 100, tmp_path / "witnesses")
    assert found.faults == {} and found.inputs > 50
    assert name == "manifest signed" or 0 < found.refused < found.inputs


def test_an_integer_beyond_all_floats_is_no_number_of_a_snapshot() -> None:
    sound = Snapshot("r", "workspace", curves={"c.csv": {"epoch": [0.0]}}).to_json()
    for part in ({"metrics": {"m": 10**400}}, {"curves": {"c.csv": {"epoch": [10**400]}}}):
        with pytest.raises(UserError, match="expected a mapping to"):
            Snapshot.from_json("r", {**sound, **part})

"""The model card says what was measured, and what was not."""

from __future__ import annotations

from dataclasses import replace

from geocore.report.card import model_card
from geocore.report.snapshot import Snapshot

SNAPSHOT = Snapshot(
    "main",
    "revision",
    commit="0123456789abcdef",
    params={
        "model.name": "heal_swin", "model.depths": [2, 2], "model.block": None,
        "data.source": "digits", "train.task": "classification", "project.rotation": "none",
    },
    metrics={
        "evaluate.test.accuracy": 0.98052,
        "evaluate.test.n": 359.0,
        "evaluate.test.brier": 0.0332,
        "evaluate.equivariance.z.stage0.block1.mean": 0.4049,
        "evaluate.equivariance.z.stage0.block1.max": 0.5189,
    },
    gates={
        "evaluate.accuracy_min": {"passed": False, "value": 0.98052, "bound": 0.99, "sense": "min"}
    },
    data={"data/raw": "aa11", "results/evaluate/kept.csv": "bb22"},
    record={
        "stages": {
            "train": {
                "run": "20261122T1745-train-1", "wall_seconds": 47.66, "pieces": {"made": 3},
                "seeds": {"train.seed": 7}, "platform": "Linux", "libraries": {"torch": "2.13.0"},
            }
        }
    },
    notes=("its results are older than flows/train.py",),
)  # fmt: skip


def test_figures_bounds_symmetry_cost_and_origin_are_told() -> None:
    card = model_card(SNAPSHOT)
    for line in (
        "# heal\\_swin on digits",
        "| depths | \\[2, 2\\] |",
        "| network: the trained network | 0.9805 | - | - |",
        "| brier | 0.0332 |",
        "359 test samples.",
        "| z | stage0.block1 | 0.4049 | 0.5189 | - |",
        "| evaluate.accuracy\\_min | 0.9805 | at least 0.99 | does not hold |",
        "| train | 47.66 | - | - | - | 3 made |",
        "| seed of train: train.seed | 7 |",
        "| digest of data/raw | aa11 |",
        "| version of torch | 2.13.0 |",
        "- One training with one seed: how much another seed would move is not known.",
        "- Its calibration was not measured.",
        "- its results are older than flows/train.py",
    ):
        assert line in card.splitlines(), line
    assert "block |" not in card.replace("block1", "")  # a key that is null
    assert "kept.csv" not in card


def test_a_state_of_nothing_says_so() -> None:
    card = model_card(Snapshot("workspace", "workspace"))
    assert "No stage has measured it on the test split." in card
    assert "No gate was set." in card
    assert "The ledger here has no run that gave these results." in card


def test_what_it_quotes_stays_text() -> None:
    wicked = "<script>alert(1)</script> | [a](http://b) `c` \x1b[2J\n# d"
    params = {**SNAPSHOT.params, "model.name": wicked, "model.embed": wicked}
    card = model_card(replace(SNAPSHOT, name=wicked, params=params, notes=(wicked,)))
    assert "<script>" not in card.replace("\\<", "")
    assert "](" not in card.replace("\\](", "") and "\x1b" not in card
    row = next(line for line in card.splitlines() if line.startswith("| embed"))
    assert row.count("|") - row.count("\\|") == 3


def test_equal_snapshots_give_equal_text() -> None:
    assert model_card(SNAPSHOT) == model_card(replace(SNAPSHOT))

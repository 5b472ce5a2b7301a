"""The stage ``approximate``: shells, figures against a known mixture, pieces, determinism."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from geocore.config.approximate import ApproximateParams, DigitsParams, ToyParams
from geocore.errors import UserError
from geocore.pipeline import approximating_reference
from geocore.pipeline.approximate import STAGE
from geocore.pipeline.approximating_mixtures import Mixed, apart, chains_apart, figures, pooled
from geocore.pipeline.approximating_results import Told, rows_of, summary
from geocore.pipeline.approximating_tasks import digits_task, lattice, shell_of, toy_task, variants
from geocore.pipeline.run import make, whole
from geocore.pipeline.stage import Job
from geocore.runs.slots import Slots
from tests.pipeline.stages import study_job

COMMON: dict[str, Any] = {
    "families": ["none", "dropout"], "p": [0.2], "members": 3, "repeats": 2, "prior": "matching",
    "prior_scale": 1.0, "epochs": 2, "batch_size": 16, "lr": 0.01, "schedule": "constant",
    "seed": 1, "reference": "none", "chains": 2, "warmup": 10, "draws": 4, "tree_depth": 2,
}  # fmt: skip
TOY = {**COMMON, "data": "toy", "points": 40, "hidden": [4], "shells": 2, "spacing": 1.0}
DIGITS = {**COMMON, "data": "digits", "training": 40, "widths": [2, 2]}


def params(values: dict[str, Any] = TOY, **changes: Any) -> Any:
    return ApproximateParams.read(values | changes)


def job(root: Path, section: ApproximateParams, notes: dict[str, Any] | None = None) -> Job:
    return study_job(STAGE, root, section, notes=notes)


def results(root: Path) -> tuple[dict[str, Any], list[dict[str, str]], dict[str, bytes]]:
    folder = root / "studies/mine/results/approximate"
    with (folder / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    files = {p.name: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return json.loads((folder / "metrics.json").read_text()), rows, files


def mixed(*members: list[list[float]]) -> Mixed:
    """The mixture of members ``(n, classes)``."""
    p = torch.tensor(members, dtype=torch.float64)
    return Mixed(p.mean(0).log(), torch.special.entr(p).sum(-1).mean(0))


def test_shells_are_distances_to_the_box() -> None:
    points = torch.tensor(
        [[1.0, 0], [3, 3], [3.5, 0], [4, 0], [4.01, 0], [3.8, 3.8], [-0.6, -3.6], [-6, 0]]
    )
    assert shell_of(points).tolist() == [0, 0, 1, 1, 2, 2, 1, 6]


def test_the_lattice_covers_box_and_shells_from_the_top() -> None:
    plane, rows = lattice(2, 1.0)
    assert rows == 10 and plane.shape == (70, 2)
    assert plane[0].tolist() == [-1.5, 4.5] and plane[-1].tolist() == [4.5, -4.5]
    assert int((shell_of(plane) == 0).sum()) == 18, "the box is 3 times 6"


def test_the_toy_is_a_circle() -> None:
    task = toy_task(params(points=500))
    x, y = task.samples.inputs, task.samples.targets
    assert torch.equal(y, (x.square().sum(1) >= 2.4**2).long())
    assert float(x[:, 0].min()) >= 0 and float(x.max()) <= 3 and float(x.min()) >= -3
    counts = [int(group.chosen.sum()) for group in task.groups.values() if group.chosen is not None]
    assert len(counts) == 3 and sum(counts) < len(task.asked["plane"]), "corners are further away"
    inner = task.asked["plane"][task.groups["shell_0"].chosen]
    truth = task.groups["shell_0"].truth
    assert truth is not None and torch.equal(truth, (inner.square().sum(1) >= 2.4**2).long())
    assert task.groups["shell_1"].truth is None


def test_digits_are_learned_or_asked_never_both() -> None:
    pytest.importorskip("sklearn")
    section = params(DIGITS)
    assert isinstance(section, DigitsParams)
    task = digits_task(section)
    learned = {image.numpy().tobytes() for image in task.samples.inputs}
    asked = {image.numpy().tobytes() for image in task.asked["test"]}
    assert len(task.samples) == 40 and len(task.asked["test"]) == 1757
    assert not learned & asked
    upright = task.asked["rotated"].rot90(-1, (-2, -1))
    assert torch.equal(upright, task.asked["test"])
    assert torch.equal(1 - task.asked["inverted"], 1 - (1 - task.asked["test"]))


def test_kinds_have_p_where_their_family_has() -> None:
    section = params(families=["nonparametric", "dropconnect", "none"], p=[0.1, 0.3])
    assert variants(section) == [
        ("nonparametric", 0.0), ("dropconnect", 0.1), ("dropconnect", 0.3), ("none", 0.0)
    ]  # fmt: skip


def test_distances_have_their_known_values() -> None:
    """Values of the facts of uncertainty: MI .3681, agreement .75, total variation .125."""
    unsure = mixed([[0.9, 0.1]], [[0.1, 0.9]])
    assert float(unsure.mutual_information) == pytest.approx(0.3681, abs=5e-5)
    sure = mixed([[0.5, 0.5]])
    found = apart(unsure, sure)
    assert found["entropy"] == pytest.approx(0, abs=1e-12)
    assert found["mutual_information"] == pytest.approx(0.3681, abs=5e-5)
    q = mixed([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.4, 0.35, 0.25], [0.3, 0.3, 0.4]])
    r = mixed([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.3, 0.45, 0.25], [0.2, 0.2, 0.6]])
    found = apart(q, r)
    assert found["agreement"] == 0.75
    assert found["total_variation"] == pytest.approx(0.125, abs=1e-12)


def test_pooled_chains_are_the_mixture_of_all_draws() -> None:
    a, b = mixed([[0.9, 0.1]], [[0.5, 0.5]]), mixed([[0.2, 0.8]], [[0.4, 0.6]])
    both = mixed([[0.9, 0.1]], [[0.5, 0.5]], [[0.2, 0.8]], [[0.4, 0.6]])
    torch.testing.assert_close(pooled([a, b]).log_q, both.log_q, atol=1e-14, rtol=0)
    torch.testing.assert_close(pooled([a, b]).entropy, both.entropy, atol=1e-14, rtol=0)
    three = [a, b, a]
    expected = 2 * apart(a, b)["total_variation"] / 3  # of three pairs one is of equals
    assert chains_apart(three)["total_variation"] == pytest.approx(expected, abs=1e-14)


def test_figures_with_labels_and_outside() -> None:
    inside = mixed([[0.8, 0.2], [0.6, 0.4]])
    found = figures(inside, torch.tensor([0, 1]), None)
    assert found["accuracy"] == 0.5
    assert found["nll"] == pytest.approx(-(math.log(0.8) + math.log(0.4)) / 2)
    assert found["brier"] == pytest.approx((0.08 + 0.72) / 2)
    assert found["ece"] == pytest.approx((0.2 + 0.6) / 2)
    outside = figures(mixed([[0.55, 0.45], [0.7, 0.3]]), None, inside)
    assert outside["auroc_entropy"] == 0.75, "of four pairs one is the wrong way round"
    assert "accuracy" not in outside


def test_nearer_is_measured_against_the_floor() -> None:
    """HMC says 1/2; the deep ensemble is far, dropout near; two chains differ little or much."""
    even, near, far = mixed([[0.5, 0.5]]), mixed([[0.6, 0.4]]), mixed([[0.99, 0.01]])
    task = toy_task(params(shells=1))
    whole_plane = len(task.asked["plane"])

    def spread(one: Mixed) -> dict[str, Mixed]:
        rows = one.log_q.expand(whole_plane, -1), one.expected_entropy.expand(whole_plane)
        return {"plane": Mixed(*rows)}

    def told(other: Mixed) -> Told:
        return Told(
            task=task,
            kinds={"none": ("none", 0.0), "dropout 0.2": ("dropout", 0.2)},
            ensembles={"none": [spread(far)], "dropout 0.2": [spread(near)]},
            chains={"plane": [spread(even)["plane"], spread(other)["plane"]]},
            record={"rhat_max": 1.0},
        )

    same = summary(told(even), rows_of(told(even)))["nearer"]["shell_1"]
    assert same["ensemble"] == "dropout 0.2" and same["floor"] == 0 and same["holds"] == 1
    gain = float(near.entropy - far.entropy)
    assert same["gain"] == same["gain_min"] == pytest.approx(gain, abs=1e-6)
    apart_chains = summary(told(far), rows_of(told(far)))["nearer"]["shell_1"]
    assert apart_chains["holds"] == 0 and apart_chains["floor"] > 0.6


def test_a_toy_without_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(threads: int) -> None:
        raise UserError("numpyro is not installed; expected it here: pip install 'geocore[x]'")

    monkeypatch.setattr(approximating_reference, "jax_cpu", missing)
    notes: dict[str, Any] = {}
    here = job(tmp_path, params(), notes)
    make(here)
    here.stage.write(here, make(here))
    assert whole(here)
    metrics, rows, files = results(tmp_path)
    assert set(metrics) == {"ensembles"}
    told = metrics["ensembles"]["dropout_0.2"]
    assert told["shell_2"]["mean_entropy"] > 0 and "nll" not in told["shell_2"]
    assert 0 < told["shell_0"]["nll"] < 2
    assert len(rows) == 3 * 2 * 2, "shells, kinds, repeats"
    assert {row["total_variation"] for row in rows} == {""}
    assert {"maps.png", "mean_entropy.png"} <= set(files) and "nll.png" not in files
    with pytest.raises(UserError, match=r"numpyro is not .* or approximate\.reference: none$"):
        STAGE.make(job(tmp_path / "other", params(reference="hmc")))


def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        here = job(tmp_path / name, params(seed=seed, epochs=1))
        here.stage.write(here, STAGE.make(here))
        found.append(results(tmp_path / name)[2])
    assert found[0] == found[1] != found[2]


def test_a_killed_ensemble_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its last checkpoint, and the result is that of one that was never stopped."""
    plain = job(tmp_path / "plain", params())
    plain.stage.write(plain, STAGE.make(plain))
    steps: list[int] = []
    save = Slots.save

    def counted(self: Slots, step: int, fill: Callable[[Path], None]) -> None:
        save(self, step, fill)
        steps.append(step)
        if len(steps) == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(Slots, "save", counted)
    here = job(tmp_path / "killed", params())
    runtime = here.sections["runtime"].model_copy(update={"checkpoint_every": 2})
    object.__setattr__(here, "sections", {**here.sections, "runtime": runtime})
    with pytest.raises(KeyboardInterrupt):
        STAGE.make(here)
    assert steps == [2, 4, 6, 2, 4, 6, 2], "six steps an ensemble; the third one is killed"
    here.stage.write(here, STAGE.make(here))
    # The third goes on from its second step; the rest are trained whole.
    assert steps[7:9] == [4, 6] and set(steps[9:]) <= {2, 4, 6}
    assert results(tmp_path / "killed")[2] == results(tmp_path / "plain")[2]
    verbs = [piece.manifest["verb"] for piece in here.store.pieces()]
    assert "checkpoint" not in verbs


def test_the_posterior_stands_beside(tmp_path: Path) -> None:
    pytest.importorskip("numpyro")
    here = job(tmp_path, params(reference="hmc", repeats=1))
    here.stage.write(here, STAGE.make(here))
    metrics, rows, files = results(tmp_path)
    assert set(metrics) == {"HMC", "chain_to_chain", "ensembles", "nearer"}
    assert metrics["HMC"]["sampler"]["gradients"] == 2 * 4 * 3, "at most 2^2 - 1 an iteration"
    assert metrics["chain_to_chain"]["shell_1"]["total_variation"] > 0
    assert {"entropy.png", "total_variation.png", "maps.png"} <= set(files)
    verbs = [piece.manifest["verb"] for piece in here.store.pieces()]
    assert verbs.count("approximate-chain") == 2
    assert len(rows) == 3 * (2 + 2)


@pytest.mark.slow
def test_chains_side_by_side_are_the_same_and_a_further_one_draws_itself(tmp_path: Path) -> None:
    """Two processes give the bytes of one; with a third chain the ensembles are found."""
    pytest.importorskip("numpyro")
    for name, workers in (("one", 1), ("two", 2)):
        here = job(tmp_path / name, params(reference="hmc", repeats=1))
        runtime = here.sections["runtime"].model_copy(update={"workers": workers})
        object.__setattr__(here, "sections", {**here.sections, "runtime": runtime})
        here.stage.write(here, STAGE.make(here))
    assert results(tmp_path / "one")[2] == results(tmp_path / "two")[2]
    more = job(tmp_path / "one", params(reference="hmc", repeats=1, chains=3))
    object.__setattr__(more, "key", "1" * 32)
    seen: list[str] = []
    object.__setattr__(more, "note", lambda **v: seen.extend(v.get("pieces", {}).values()))
    STAGE.make(more)
    assert seen.count("made") == 2, "the chain and the stage's own piece"


def test_digits_are_told_apart_from_what_they_are_not(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    here = job(tmp_path, params(DIGITS, repeats=1, epochs=30, families=["none"]))
    here.stage.write(here, STAGE.make(here))
    metrics, _, files = results(tmp_path)
    told = metrics["ensembles"]["none"]
    assert told["test"]["accuracy"] > 0.4, "forty digits teach more than chance"
    assert 0 <= told["rotated"]["auroc_entropy"] <= 1 and "accuracy" not in told["rotated"]
    assert {"nll.png", "ece.png", "auroc_entropy.png"} <= set(files)
    assert isinstance(params(), ToyParams)

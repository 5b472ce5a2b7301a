"""Predictions a batch at a time equal those of all at once, in memory and in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from geocore.ensembles import predicting
from geocore.ensembles.engine import Samples, start_ensemble, train_ensemble
from geocore.ensembles.ensemble_state import EnsembleState
from geocore.ensembles.losses import CrossEntropy
from geocore.ensembles.mixture import Mixture
from geocore.ensembles.plan import Plan
from geocore.ensembles.predicting import Predicted, predict_members, write_members
from geocore.ensembles.programs import Strategy
from geocore.measure.streaming import EnsembleTally, tally_parquet
from geocore.models.stochastic import stochastic_mlp
from geocore.pipeline.ensemble_results import MixedSplit, _member_table

STRATEGIES = ("batched", "one_by_one")
SEEDS = (4, 2, 9)


def build(seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 3)).double()
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(generator=generator)
    return model


def stochastic(seed: int) -> nn.Module:
    network: nn.Module = stochastic_mlp((2, 8, 3), "dropout", p=0.5, seed=seed)
    return network


def samples(count: int, dtype: torch.dtype = torch.float64) -> Samples:
    x = torch.linspace(-2, 2, 2 * count, dtype=dtype).view(count, 2).sin()
    found = Samples(x, torch.arange(count) % 3)
    found.ids = torch.arange(count) + 100
    return found


def trained(strategy: Strategy) -> EnsembleState:
    state = start_ensemble(build, SEEDS, Plan(epochs=4, batch_size=8, lr=0.3), strategy=strategy)
    train_ensemble(state, samples(20), samples(10), CrossEntropy())
    return state


def joined(found: Iterator[Predicted], members: int) -> Tensor:
    """``(members, n, ...)`` of all batches."""
    parts: list[list[Tensor]] = [[] for _ in range(members)]
    for predicted in found:
        for member, own in zip(predicted.members, predicted.outputs, strict=True):
            parts[member].append(own)
    return torch.stack([torch.cat(own) for own in parts])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_state_predicts_with_its_best_weights(strategy: Strategy) -> None:
    state, data = trained(strategy), samples(23)
    last = [rows.clone() for rows in state.stack.weights]
    found = joined(predict_members(state, data, 5), 3)
    for member, own in zip(state.members(), found, strict=True):
        network = build(0)
        network.load_state_dict(member.weights)
        torch.testing.assert_close(own, network(data.inputs).detach(), atol=1e-13, rtol=1e-12)
    assert not torch.allclose(found, joined(predict_members(state.program, data, 5), 3))
    given = joined(predict_members(state.program, data, 5, weights=state.best_weights), 3)
    assert torch.equal(given, found)
    for before, rows in zip(last, state.stack.weights, strict=True):
        assert torch.equal(before, rows), "the stack has its own weights again"


def test_an_iterator_that_is_closed_gives_the_weights_back() -> None:
    state = trained("batched")
    last = state.stack.weights[0].clone()
    found = predict_members(state, samples(10), 2)
    next(found)
    assert torch.equal(state.stack.weights[0], state.best_weights[0])
    found.close()  # type: ignore[attr-defined]
    assert torch.equal(state.stack.weights[0], last)
    assert not torch.equal(last, state.best_weights[0])


def test_samples_and_targets_come_with_the_outputs() -> None:
    found = list(predict_members(trained("one_by_one"), samples(5), 2))
    assert [list(predicted.members) for predicted in found] == [
        [m] for m in range(3) for _ in "abc"
    ]
    assert [predicted.samples.tolist() for predicted in found[:3]] == [
        [100, 101],
        [102, 103],
        [104],
    ]
    assert [predicted.targets.tolist() for predicted in found[:3]] == [[0, 1], [2, 0], [1]]
    with pytest.raises(ValueError, match=r"^batch_size is 0; expected at least 1$"):
        predict_members(trained("batched"), samples(5), 0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_stochastic_member_passes_once_with_noise_of_its_own(strategy: Strategy) -> None:
    x = torch.ones(12, 2)  # equal samples: what differs is the noise
    data = Samples(x, torch.zeros(12, dtype=torch.int64))
    plan = Plan(epochs=1, batch_size=4, lr=0.1)

    def predicted(seeds: tuple[int, ...]) -> Tensor:
        state = start_ensemble(lambda _: stochastic(1), seeds, plan, strategy=strategy)
        return joined(predict_members(state, data, 5), len(seeds))

    found = predicted(SEEDS)
    assert torch.equal(found, predicted(SEEDS)), "the noise follows from the seeds"
    torch.testing.assert_close(found[1:2], predicted(SEEDS[1:2]), atol=1e-6, rtol=1e-5)
    assert not torch.allclose(found[0], found[1]), "equal weights, another seed"
    assert len(found[0].unique(dim=0)) > 3, "each sample draws anew, across batches too"


def test_a_file_is_that_of_the_ensemble_stage(tmp_path: Path) -> None:
    state = trained("one_by_one")
    splits = {"val": samples(7), "test": samples(11)}
    path = tmp_path / "members.parquet"
    count = write_members(path, {n: predict_members(state, s, 4) for n, s in splits.items()})
    assert count == 3 * (7 + 11)
    expected = _member_table(
        {
            name: MixedSplit(
                data.ids, data.targets, Mixture(joined(predict_members(state, data, 4), 3))
            )
            for name, data in splits.items()
        }
    )
    found = pq.read_table(path)
    assert found.schema.equals(expected.schema)
    assert found.equals(expected)  # bit by bit: log_softmax goes row by row
    assert found.schema.field("log_probabilities").type == pa.list_(pa.float64(), 3)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_measures_of_the_file_are_those_of_the_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: Strategy
) -> None:
    monkeypatch.setattr(predicting, "_GROUP", 3 * 40)  # forty rows of three classes
    state, data = trained(strategy), samples(200)
    path = tmp_path / "members.parquet"
    write_members(path, {"test": predict_members(state, data, 16)})
    log_p = joined(predict_members(state, data, 16), 3).log_softmax(dim=-1)
    tally = EnsembleTally()
    tally.add(log_p, data.targets)
    found, expected = tally_parquet(path, "test").values(), tally.values()
    assert found == pytest.approx(expected, rel=1e-12)  # sums in another order
    assert pq.ParquetFile(path).metadata.num_row_groups >= 8, "written as it fills"


def predicted(members: range, log_p: Tensor, first: int = 0, labels: Any = None) -> Predicted:
    count = log_p.shape[1]
    ids = torch.arange(first, first + count)
    return Predicted(members, ids, torch.zeros_like(ids) if labels is None else labels, log_p)


def uniform(members: int, count: int, classes: int = 4) -> Tensor:
    return torch.full((members, count, classes), 1 / classes, dtype=torch.float64).log()


def wrong(path: Path, **splits: list[Predicted]) -> str:
    with pytest.raises(ValueError) as caught:
        write_members(path, splits, outputs="log_probabilities")
    (line,) = str(caught.value).splitlines()
    return line


def test_what_is_wrong_is_one_line_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "members.parquet"
    good = predicted(range(2), uniform(2, 3))
    assert write_members(path, {"test": [good]}, outputs="log_probabilities") == 6
    old = path.read_bytes()
    odd = uniform(2, 3)
    odd[1, 2] += 0.5
    assert wrong(path, test=[predicted(range(2), odd, first=7)]) == (
        "sample 9 of member 1 in split 'test' has probabilities that sum to 1.64872; expected 1"
    )
    odd[1, 2] = torch.nan
    assert "has probabilities that sum to nan; expected 1" in wrong(
        path, test=[predicted(range(2), odd)]
    )
    assert wrong(path, test=[good, predicted(range(1), uniform(1, 2), first=3)]) == (
        "member 1 has 3 samples in split 'test'; expected 5, as member 0"
    )
    other = predicted(range(1, 2), uniform(1, 3), first=1)
    assert wrong(path, test=[predicted(range(1), uniform(1, 3)), other]) == (
        "member 1 has other samples or labels in split 'test' than member 0; expected the same, "
        "in order"
    )
    assert wrong(path, test=[good, predicted(range(2), uniform(2, 3, 5), first=3)]) == (
        "member 0 of split 'test' has 5 classes; expected 4, as those before"
    )
    assert wrong(path, val=[good], test=[predicted(range(3), uniform(3, 3))]) == (
        "split 'test' has 3 members 0 to 2; expected 0 to 1, as the first split"
    )
    assert wrong(path, test=[predicted(range(3), uniform(2, 3))]) == (
        "outputs of split 'test' have shape (2, 3, 4); expected (3, n, classes)"
    )
    labels = torch.tensor([0, 4, 0])
    assert wrong(path, test=[predicted(range(2), uniform(2, 3), labels=labels)]) == (
        "labels of split 'test' are torch.int64 from 0 to 4; expected integers from 0 to 3"
    )
    assert wrong(path, test=[predicted(range(2), uniform(2, 3), labels=labels[:2])]) == (
        "split 'test' has 3 samples, labels (2,) and outputs (2, 3, 4); expected one of each a "
        "sample"
    )
    assert wrong(path, test=[]) == "split 'test' has no predictions; expected at least one"
    assert wrong(path) == "splits are none; expected at least one"
    assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError, match=r"^outputs is 'p'; expected logits or log_probabilities$"):
        write_members(path, {"test": [good]}, outputs="p")  # type: ignore[arg-type]


def test_a_probability_of_nought_is_written(tmp_path: Path) -> None:
    sure = torch.tensor([[[0.0, -torch.inf]]], dtype=torch.float64)
    path = tmp_path / "members.parquet"
    write_members(path, {"test": [predicted(range(1), sure)]}, outputs="log_probabilities")
    assert pq.read_table(path)["log_probabilities"].to_pylist() == [[0.0, -torch.inf]]
    assert tally_parquet(path).values()["nll"] == 0.0

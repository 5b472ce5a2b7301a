"""Measures of batches and of Parquet files equal those of all tensors at once."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from geocore.measure.calibration import calibration_error, reliability
from geocore.measure.classification import accuracy, brier, nll
from geocore.measure.ranking import auroc, risk_coverage
from geocore.measure.streaming import (
    EnsembleTally,
    PairTally,
    compare_parquet,
    tally_parquet,
    uncertainties_parquet,
)
from geocore.measure.uncertainty import (
    agreement,
    entropy,
    expected_entropy,
    mixture_log_probabilities,
    mutual_information,
    total_variation,
)


def predictions(
    seed: int = 0, shape: tuple[int, int, int] = (6, 300, 5), scale: float = 2.0
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
    labels = torch.randint(shape[2], (shape[1],), generator=generator)
    return scores.log_softmax(dim=-1), labels


def write(path: Path, members: Tensor, labels: Tensor) -> Path:
    count, n, classes = members.shape
    values = pa.array(members.reshape(-1).numpy())
    columns = {
        "sample": np.tile(np.arange(n), count),
        "split": ["test"] * (count * n),
        "label": np.tile(labels.numpy(), count),
        "member": np.repeat(np.arange(count), n),
        "log_probabilities": pa.FixedSizeListArray.from_arrays(values, classes),
    }
    pq.write_table(pa.table(columns), path, row_group_size=97)
    return path


def at_once(members: Tensor, labels: Tensor, bins: int = 15) -> dict[str, float]:
    """The values by the functions of tensors."""
    p, mixed = members.exp(), mixture_log_probabilities(members)
    q = p.mean(dim=0)
    return {
        "accuracy": accuracy(mixed, labels),
        "nll": float(nll(mixed, labels).mean()),
        "brier": float(brier(q, labels).mean()),
        "entropy": float(entropy(q).mean()),
        "expected_entropy": float(expected_entropy(p).mean()),
        "mutual_information": float(mutual_information(p).mean()),
        "member_accuracy": sum(accuracy(own, labels) for own in members) / len(members),
        "member_nll": float(torch.stack([nll(own, labels) for own in members]).mean()),
        "ece": calibration_error(q.max(dim=1).values, q.argmax(dim=1) == labels, bins),
    }


def close(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found == {name: pytest.approx(value, abs=1e-12) for name, value in expected.items()}


@pytest.mark.parametrize("size", [4, 7, 300])
@pytest.mark.parametrize("bins", [10, 15])
def test_batches_give_what_the_tensors_give(size: int, bins: int) -> None:
    members, labels = predictions()
    tally = EnsembleTally(bins)
    for part, own in zip(members.split(size, dim=1), labels.split(size), strict=True):
        tally.add(part, own)
    tally.add(members[:, :0], labels[:0])
    assert tally.samples == 300
    close(tally.values(), at_once(members, labels, bins))
    q = members.exp().mean(dim=0)
    table = reliability(q.max(dim=1).values, q.argmax(dim=1) == labels, bins)
    assert torch.equal(tally.reliability().count, table.count)


@pytest.mark.parametrize("samples", [None, 7, 64, 300])
def test_a_file_gives_what_the_tensors_give(samples: int | None, tmp_path: Path) -> None:
    members, labels = predictions(1)
    path = write(tmp_path / "members.parquet", members, labels)
    tally = tally_parquet(path, "test", samples)
    assert tally.samples == 300
    close(tally.values(), at_once(members, labels))


def test_reference_values() -> None:
    members = torch.tensor([[[0.5, 0.5, 0, 0]], [[0, 0, 0.5, 0.5]]], dtype=torch.float64).log()
    tally = EnsembleTally()
    tally.add(members, torch.tensor([2]))
    found = tally.values()
    assert found["entropy"] == found["nll"] == pytest.approx(math.log(4), abs=1e-15)
    assert found["mutual_information"] == pytest.approx(math.log(2), abs=1e-15)
    assert found["member_nll"] == math.inf  # the first member excludes class 2
    tally = EnsembleTally()
    tally.add(torch.tensor([[[0.9, 0.1]], [[0.1, 0.9]]], dtype=torch.float64).log(),
              torch.tensor([0]))  # fmt: skip
    found = tally.values()
    assert found["entropy"] == pytest.approx(0.6931, abs=5e-5)
    assert found["expected_entropy"] == pytest.approx(0.3251, abs=5e-5)
    assert found["mutual_information"] == pytest.approx(0.3681, abs=5e-5)
    assert found["brier"] == pytest.approx(0.5, abs=1e-15)


def test_confidence_one_is_not_lost() -> None:
    sure = torch.tensor([[1.0, 0], [1, 0]], dtype=torch.float64).log().expand(7, -1, -1)
    tally = EnsembleTally()
    tally.add(sure, torch.tensor([0, 1]))
    assert tally.values()["ece"] == 0.5


def test_rounding_above_one_is_confidence_one() -> None:
    # float32 logarithms may sum to as much: the calibration error takes no confidence above 1.
    above = torch.tensor([[[1e-6, -math.inf], [1e-6, -math.inf]]])
    tally = EnsembleTally()
    tally.add(above, torch.tensor([0, 1]))
    assert tally.values()["ece"] == 0.5


def test_two_ensembles_by_batches_and_from_files(tmp_path: Path) -> None:
    q = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.4, 0.35, 0.25], [0.3, 0.3, 0.4]])
    r = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.3, 0.45, 0.25], [0.2, 0.2, 0.6]])
    tally = PairTally()
    for part in (slice(0, 1), slice(1, 4)):
        tally.add(q[part].double(), r[part].double())
    assert tally.values() == {"agreement": 0.75, "total_variation": pytest.approx(0.125, abs=1e-7)}

    (first, labels), (second, _) = predictions(3), predictions(4)
    one = write(tmp_path / "one.parquet", first, labels)
    two = write(tmp_path / "two.parquet", second[:3], labels)
    found = compare_parquet(one, two, "test", 77)
    means = first.exp().mean(dim=0), second[:3].exp().mean(dim=0)
    assert found.samples == 300
    close(found.values(), {"agreement": agreement(*means),
                           "total_variation": total_variation(*means)})  # fmt: skip
    fewer = write(tmp_path / "fewer.parquet", second[:, :290], labels[:290])
    for samples in (290, 77):
        with pytest.raises(ValueError) as error:
            compare_parquet(one, fewer, samples=samples)
        assert str(error.value) == f"{fewer} has other samples than {one}; " \
                                   "expected the same, in order"  # fmt: skip


def test_what_is_ranked_comes_from_files(tmp_path: Path) -> None:
    (inside, labels), (outside, others) = predictions(5, scale=3.0), predictions(6, scale=1.0)
    one = uncertainties_parquet(write(tmp_path / "in.parquet", inside, labels), samples=50)
    two = uncertainties_parquet(write(tmp_path / "out.parquet", outside, others), "test")
    assert one["sample"].tolist() == list(range(300))
    torch.testing.assert_close(
        one["mutual_information"], mutual_information(inside.exp()), rtol=0, atol=1e-13
    )
    q, r = inside.exp().mean(dim=0), outside.exp().mean(dim=0)
    expected = auroc(entropy(q), entropy(r))
    assert 0.6 < expected < 1
    assert auroc(one["entropy"], two["entropy"]) == pytest.approx(expected, abs=1e-12)
    right = q.argmax(dim=1) == labels
    assert torch.equal(one["correct"], right)
    area = risk_coverage(one["entropy"], one["correct"]).area
    assert area == pytest.approx(risk_coverage(entropy(q), right).area, abs=1e-12)


def test_memory_does_not_grow_with_what_was_added() -> None:
    members, labels = predictions(7, (2, 50, 3))
    tally = EnsembleTally()
    tally.add(members, labels)
    before = len(pickle.dumps(tally))
    for _ in range(30):
        tally.add(members, labels)
    assert tally.samples == 31 * 50
    # Only a number may have got a digit more; one batch of labels would be 400 bytes.
    assert len(pickle.dumps(tally)) <= before + 16


def test_what_it_refuses() -> None:
    members, labels = predictions()
    for empty in (EnsembleTally(), PairTally()):
        with pytest.raises(ValueError, match=r"^the tally has 0 samples; expected at least one$"):
            empty.values()
    with pytest.raises(ValueError, match=r"^bins is 0; expected at least 1$"):
        EnsembleTally(0)
    tally = EnsembleTally()
    for values, given, line in [
        (members.exp(), labels, "log_probabilities has logsumexp 0 within"),
        (members[0], labels, "log_probabilities has shape (300, 5); expected (members, n, class"),
        (members, labels[:-1], "labels is torch.int64 of shape (299,); expected int64 (300,)"),
        (members, labels + 1, "labels runs from 1 to 5; expected 0 to 4"),
    ]:
        with pytest.raises(ValueError) as error:
            tally.add(values, given)
        assert str(error.value).startswith(line)
    assert tally.samples == 0

"""The ensemble and the kernel twin beside the network, on the same samples."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from geocore.errors import UserError
from geocore.pipeline.companions import SHARES, kept_curve, read_ensemble, read_kernels
from geocore.pipeline.predictions import Predictions

CLASSES, MEMBERS = 3, 4
SAMPLES = {"val": np.array([2, 3]), "test": np.array([5, 7, 11, 13, 17])}
LABELS = {"val": np.array([0, 1]), "test": np.array([0, 1, 2, 1, 0])}


def member_logs() -> dict[str, np.ndarray]:
    """Log-probabilities ``(member, sample, class)`` of each split."""
    generator = np.random.default_rng(0)
    logits = {
        split: generator.normal(size=(MEMBERS, len(s), CLASSES)) for split, s in SAMPLES.items()
    }
    return {s: v - np.log(np.exp(v).sum(axis=-1, keepdims=True)) for s, v in logits.items()}


def frame(split: str, logs: np.ndarray, **more: Any) -> pa.Table:
    count = len(logs)
    flat = pa.array(logs.reshape(-1))
    columns = {
        "sample": SAMPLES[split],
        "split": [split] * count,
        "label": LABELS[split],
        "log_probabilities": pa.FixedSizeListArray.from_arrays(flat, logs.shape[1]),
    }
    return pa.table(columns | {name: [value] * count for name, value in more.items()})


def network() -> Predictions:
    return Predictions(
        torch.from_numpy(SAMPLES["test"]),
        torch.from_numpy(LABELS["test"]),
        torch.zeros(5, CLASSES, dtype=torch.float64),
    )


def write(path: Path, *frames: pa.Table) -> Path:
    pq.write_table(pa.concat_tables(frames), path)
    return path


def ensemble_files(folder: Path) -> tuple[Path, Path]:
    logs = member_logs()
    means = {split: np.log(np.exp(value).mean(axis=0)) for split, value in logs.items()}
    more = {"expected_entropy": 0.5, "mutual_information": 0.25}
    one = write(folder / "mean.parquet", *(frame(s, v, **more) for s, v in means.items()))
    each = [frame(s, v[m], member=m) for s, v in logs.items() for m in range(MEMBERS)]
    return one, write(folder / "members.parquet", *each)


def name_of(path: Path) -> str:
    return f"results/ensemble/{path.name}"


def test_the_ensemble_and_its_members(tmp_path: Path) -> None:
    one, each = ensemble_files(tmp_path)
    mixture, mean_logits = read_ensemble(one, each, network(), 15, name_of)
    assert (mixture.name, mean_logits.name) == ("ensemble", "ensemble_logits")
    logs = member_logs()
    scores = {
        split: [-v[m][np.arange(v.shape[1]), LABELS[split]].mean() for m in range(MEMBERS)]
        for split, v in logs.items()
    }
    chosen = int(np.argmin(scores["val"]))
    assert chosen != int(np.argmin(scores["test"])), "the test split must not choose"
    for split in ("val", "test"):
        rows, labels, single = np.arange(len(LABELS[split])), LABELS[split], scores[split]
        mean = -np.log(np.exp(logs[split]).mean(axis=0)[rows, labels]).mean()
        found = mixture.summary(15)[split]
        assert found["nll"] == pytest.approx(mean, rel=1e-12)
        assert found["members"]["nll"] == pytest.approx(
            {"min": min(single), "mean": np.mean(single), "max": max(single)}, rel=1e-12
        )
        assert found["members"]["chosen_nll"] == pytest.approx(single[chosen], rel=1e-12)
        assert found["nll_ratio"] == pytest.approx(mean / single[chosen], rel=1e-12)
        assert found["members"]["count"] == MEMBERS
        assert (found["expected_entropy"], found["mutual_information"]) == (0.5, 0.25)
        assert found["n"] == len(rows)

        product = logs[split].mean(axis=0)
        geometric = -(product - np.log(np.exp(product).sum(axis=-1, keepdims=True)))[rows, labels]
        found = mean_logits.summary(15)[split]
        assert found["nll"] == pytest.approx(geometric.mean(), rel=1e-12)
        assert found["nll_ratio"] == pytest.approx(geometric.mean() / single[chosen], rel=1e-12)


def test_each_kernel_by_itself(tmp_path: Path) -> None:
    logs = member_logs()
    frames = [
        frame(split, logs[split][number], kernel=kernel)
        for split in SAMPLES
        for number, kernel in enumerate(("ntk", "nngp"))
    ]
    found = read_kernels(write(tmp_path / "p.parquet", *frames), network(), name_of)
    assert [companion.name for companion in found] == ["nngp", "ntk"]
    expected = -logs["test"][0][np.arange(5), LABELS["test"]].mean()
    assert found[1].summary(15)["test"]["nll"] == pytest.approx(expected, rel=1e-12)


def test_the_surest_are_kept_first() -> None:
    sure, unsure = [math.log(p) for p in (0.9, 0.05, 0.05)], [math.log(p) for p in (0.3, 0.4, 0.3)]
    found = Predictions(
        torch.arange(4), torch.tensor([0, 0, 0, 0]),
        torch.tensor([sure, sure, unsure, unsure], dtype=torch.float64),
    )  # fmt: skip
    curve = kept_curve(found)
    assert curve[0] == 1.0
    assert curve[-1] == 0.5
    assert len(curve) == len(SHARES)


@pytest.mark.parametrize("fault", ["samples", "labels", "classes", "split"])
def test_predictions_of_other_samples_are_refused(tmp_path: Path, fault: str) -> None:
    own = network()
    changed = {
        "samples": Predictions(own.samples + 1, own.labels, own.logits),
        "labels": Predictions(own.samples, own.labels.flip(0) * 0, own.logits),
        "classes": Predictions(own.samples, own.labels, own.logits[:, :2]),
        "split": own,
    }[fault]
    logs = member_logs()
    splits = ["val"] if fault == "split" else ["val", "test"]
    frames = [frame(split, logs[split][0], kernel="ntk") for split in splits]
    path = write(tmp_path / "predictions.parquet", *frames)
    with pytest.raises(UserError) as caught:
        read_kernels(path, changed, lambda path: f"results/ntk/{path.name}")
    (line,) = caught.value.lines
    assert line.startswith("results/ntk/predictions.parquet: test samples: ")
    assert line.endswith(": run ntk again")


def test_a_truncated_file_and_a_missing_column_are_one_line(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", frame("test", member_logs()["test"][0]))
    for _ in range(2):
        with pytest.raises(UserError) as caught:
            read_kernels(path, network(), name_of)
        (line,) = caught.value.lines
        assert line.startswith("results/ensemble/p.parquet: ")
        assert line.endswith("expected a Parquet file with sample, split, label, "
                             "log_probabilities, kernel")  # fmt: skip
        path.write_bytes(path.read_bytes()[:-20])

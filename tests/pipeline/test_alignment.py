"""``alignment``: the kernels of the very weights that training passed through."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from geocore.config.alignment import AlignmentParams
from geocore.data.table import Table
from geocore.errors import UserError
from geocore.kernels.subset import stratified_order
from geocore.pipeline.alignment import STAGE
from geocore.pipeline.learning import wanted
from geocore.pipeline.stage import Job
from geocore.pipeline.train import STAGE as TRAIN
from geocore.train.feed import table_feed
from geocore.train.loop import train
from geocore.train.network import network
from geocore.train.objective import objective
from geocore.train.state import TrainState
from tests.pipeline.test_train import job_in, write_table
from tests.train.scenes import CPU

SAMPLES = 6


def jobs(
    root: Path,
    notes: dict[str, Any] | None = None,
    epochs: tuple[int, ...] = (0, 1, 3),
) -> tuple[Job, Job]:
    """Of ``train`` and of ``alignment``, on one small table."""
    training = job_in(root, notes)
    params = AlignmentParams(epochs=epochs, samples=SAMPLES, seed=0)
    sections = {**training.sections, "alignment": params}
    return training, dataclasses.replace(training, stage=STAGE, sections=sections, key="f" * 32)


def trained(
    root: Path, notes: dict[str, Any] | None = None, epochs: tuple[int, ...] = (0, 1, 3)
) -> Job:
    """The alignment's job, where ``train`` has left its curve."""
    write_table(root)
    training, job = jobs(root, notes, epochs)
    TRAIN.write(training, TRAIN.make(training))
    return job


def rows(job: Job) -> list[dict[str, str]]:
    STAGE.write(job, STAGE.make(job))
    with (job.root / "results/alignment/alignment.csv").open() as stream:
        return list(csv.DictReader(stream))


def kernel(model: torch.nn.Module, images: Tensor) -> Tensor:
    """``sum_a J_a J_a^T``, gradient by gradient."""
    model.eval()
    found = []
    for output in model(images).T:
        gradients = []
        for value in output:
            parameters = list(model.parameters())
            parts = torch.autograd.grad(value, parameters, retain_graph=True)
            gradients.append(torch.cat([part.flatten() for part in parts]))
        found.append(torch.stack(gradients).double())
    model.train()
    return torch.stack([j @ j.T for j in found]).sum(dim=0)


def cosine(first: Tensor, second: Tensor) -> float:
    return float((first * second).sum() / first.norm() / second.norm())


def test_it_is_the_kernel_of_the_weights_after_those_epochs(tmp_path: Path) -> None:
    job = trained(tmp_path)
    found = rows(job)
    assert [(int(row["epoch"]), int(row["step"])) for row in found] == [(0, 0), (1, 3), (3, 9)]

    # The same by hand: train with a hook, gradients one by one, cosines of the definitions.
    table = Table.open(tmp_path / "data/healpix", wanted(job))
    training, validation = (table_feed(table, split, CPU) for split in ("train", "val"))
    learning: Any = job.sections["train"]
    learned = objective(learning, table.info.classes, training, "")
    model = network(job.sections["model"], table.info.type, learned, learning.seed)  # type: ignore[arg-type]
    state = TrainState.start(model, learning, CPU)
    order = stratified_order(validation.labels.numpy(), 0)[:SAMPLES]
    images, labels = validation(torch.from_numpy(order))
    y = F.one_hot(labels, 3).double()
    centre = torch.eye(SAMPLES).double() - 1 / SAMPLES
    kernels = [kernel(model, images)]

    def after(state: TrainState) -> None:
        kernels.append(kernel(state.model, images))

    train(state, training, validation, learning, on_epoch=after)
    for row, k in zip(found, (kernels[0], kernels[1], kernels[3]), strict=True):
        # float32 gradients, summed in another order
        assert float(row["val_target"]) == pytest.approx(cosine(k, y @ y.T), abs=1e-5)
        centred = cosine(centre @ k @ centre, centre @ y @ y.T @ centre)
        assert float(row["val_target_centred"]) == pytest.approx(centred, abs=1e-5)
        assert float(row["val_start"]) == pytest.approx(cosine(k, kernels[0]), abs=1e-5)
    assert float(found[-1]["val_start"]) < 0.999  # it has turned: the test can tell epochs apart


def test_the_training_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    notes: dict[str, Any] = {}
    job = trained(tmp_path, notes)
    rows(job)
    assert notes["replay_difference"] == 0
    metrics = json.loads((tmp_path / "results/alignment/metrics.json").read_text())
    assert metrics["epochs"] == 3 and metrics["samples"] == SAMPLES
    assert "replay_difference" not in metrics
    assert (tmp_path / "results/alignment/pictures/alignment.png").read_bytes()[:4] == b"\x89PNG"


def test_another_training_is_noticed(tmp_path: Path) -> None:
    notes: dict[str, Any] = {}
    job = trained(tmp_path, notes)
    curve = tmp_path / "results/train/curve.csv"
    head, first, *rest = curve.read_text().splitlines()
    cells = first.split(",")
    cells[3] = repr(float(cells[3]) * 1.25)
    curve.write_text("\n".join([head, ",".join(cells), *rest]) + "\n")
    rows(job)
    assert notes["replay_difference"] == pytest.approx(0.2)  # 0.25 of 1.25


def test_a_training_shorter_than_was_asked_for_is_followed_to_its_end(tmp_path: Path) -> None:
    found = rows(trained(tmp_path, epochs=(0, 2, 50)))
    assert [int(row["epoch"]) for row in found] == [0, 2]


def test_mistakes_have_a_line_each(tmp_path: Path) -> None:
    job = trained(tmp_path)
    many = AlignmentParams(epochs=(0, 1), samples=1000, seed=0)
    with pytest.raises(UserError, match=r"alignment\.samples is 1000; expected at most the \d+ s"):
        STAGE.make(dataclasses.replace(job, sections={**job.sections, "alignment": many}))
    masks: Any = job.sections["train"].model_copy(update={"task": "segmentation"})
    with pytest.raises(UserError, match=r"train\.task is segmentation; expected classification"):
        STAGE.make(dataclasses.replace(job, sections={**job.sections, "train": masks}))
    curve = tmp_path / "results/train/curve.csv"
    curve.write_text(curve.read_text().replace("val_nll", "nll"))
    with pytest.raises(UserError, match=r"curve\.csv: no learning curve; expected columns epoch"):
        STAGE.make(job)

"""A chunk on disk: each member as if it were alone."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from geocore.data.table import Table
from geocore.ensembles.chunk import train_chunk, weights_name
from geocore.ensembles.members import train_member
from geocore.runs.closure import import_closure
from geocore.train.classification import Classification
from geocore.train.feed import table_feed
from tests.models.encoders import model_params
from tests.pipeline.test_train import write_table
from tests.train.scenes import CPU, train_params

MODEL = model_params(depths=(1, 1), heads=(1, 2), dropout=0.3)
CLASSES = Classification(3)
SEEDS = (11, 5, 8)
PARAMS = train_params(epochs=2)


def test_members_depend_on_nothing_of_each_other(tmp_path: Path) -> None:
    write_table(tmp_path)  # 20 samples to train, 10 to validate, 10 to test
    table, folder = Table.open(tmp_path / "data/healpix"), tmp_path / "chunk"
    folder.mkdir()
    told: list[tuple[int, int]] = []
    values = train_chunk(
        folder,
        SEEDS,
        MODEL,
        PARAMS,
        table,
        CPU,
        on_step=lambda place, state: told.append((place, state.step)),
    )
    curves = json.loads((folder / "curves.json").read_text())
    assert len(list(folder.iterdir())) == 4
    assert told == [(place, step) for place in range(3) for step in range(1, 7)]
    training, validation = (table_feed(table, split, CPU) for split in ("train", "val"))
    for place, seed in enumerate(SEEDS):
        alone = train_member(MODEL, table.info.type, CLASSES, training, validation, PARAMS, seed)
        weights = load_file(folder / weights_name(place))
        assert weights.keys() == alone.best_weights.keys()
        assert all(torch.equal(weights[name], alone.best_weights[name]) for name in weights)
        assert curves[place] == alone.curve
        assert alone.best is not None
        assert values["training"][place] == {
            "seed": seed,
            "best_epoch": alone.best["epoch"],
            "epochs": 2,
            "steps": 6,
            "train_nll": alone.best["train_nll"],
            "val_nll": min(row["val_nll"] for row in alone.curve),
            "val_accuracy": alone.best["val_accuracy"],
        }


def test_names_count_from_nought() -> None:
    assert [weights_name(place) for place in (0, 42, 1000)] == [
        "member-000.safetensors",
        "member-042.safetensors",
        "member-1000.safetensors",
    ]


def test_no_measure_decides_a_chunk() -> None:
    # What is measured on an ensemble may change without training it again.
    closure = import_closure(["geocore.ensembles.chunk"])
    assert "geocore.models.healpix_encoder" in closure and "geocore.train.loop" in closure
    # Mean IoU is not only measured: it decides which weights are the best.
    decides = ("geocore.measure", "geocore.measure.segmentation")
    above = ("geocore.measure", "geocore.pipeline")
    assert [name for name in closure if name.startswith(above)] == list(decides)
    assert "geocore.ensembles.mixture" not in closure

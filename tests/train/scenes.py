"""Small trainings that several tests look at."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from geocore.config.train import TrainParams
from geocore.models.healpix_encoder import HealpixEncoder
from geocore.train.feed import Feed, tensor_feed
from geocore.train.state import TrainState
from tests.models.encoders import kind, model_params

__all__ = ["CPU", "blobs", "feeds", "network", "same", "start", "train_params"]

CPU = torch.device("cpu")
TABLE = kind(4, (0, 1, 2, 3))


def train_params(**changes: Any) -> TrainParams:
    defaults: dict[str, Any] = {
        "task": "classification", "loss": "cross_entropy", "class_weights": "none",
        "depth_scale": None, "seed": 0, "epochs": 4, "batch_size": 8, "lr": 0.01,
        "weight_decay": 0.05,
        "warmup_epochs": 1, "label_smoothing": 0.0, "clip_norm": 1.0, "patience": 10,
    }  # fmt: skip
    return TrainParams(**(defaults | changes))


def blobs(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy maps of three classes, each bright in a quarter of every face of its own."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    images = torch.rand(count, *TABLE.shape, generator=generator)
    for sample, label in enumerate(labels.tolist()):
        images[sample].reshape(4, 4, 4)[:, label] += 0.5
    return images, labels


def feeds(training: int = 20, validation: int = 9) -> tuple[Feed, Feed]:
    return tensor_feed(*blobs(training, 1)), tensor_feed(*blobs(validation, 2))


def network(dropout: float = 0.3, seed: int = 0) -> HealpixEncoder:
    params = model_params(depths=(1, 1), heads=(1, 2), dropout=dropout)
    return HealpixEncoder(TABLE, 3, params, seed=seed)


def start(params: TrainParams, model: nn.Module | None = None) -> TrainState:
    return TrainState.start(network() if model is None else model, params, CPU)


def same(first: TrainState, second: TrainState) -> bool:
    """Bit by bit: weights, moments, best weights, random states, curve, counters."""
    mine, theirs = first.tensors(), second.tensors()
    assert mine.keys() == theirs.keys()
    return first.numbers() == second.numbers() and all(
        torch.equal(mine[name], theirs[name]) for name in mine
    )

"""``train``: the network, with checkpoints in the store, so that a killed stage goes on exactly."""

from __future__ import annotations

from geocore.config.model import ModelParams
from geocore.config.runtime import RuntimeParams
from geocore.config.train import TrainParams
from geocore.pipeline.learning import TAKES, network_code
from geocore.pipeline.piece import copy_outputs, make_piece
from geocore.pipeline.stage import Job, Manifest, Port, Stage

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Train, or find that training in the store; its checkpoints go when it is sealed."""
    # Here, so that `geocore check` reads this declaration without importing torch.
    from geocore.pipeline.training import Checkpoints, fit

    manifest = make_piece(job, lambda folder: fit(job, folder))
    Checkpoints(job).remove()
    return manifest


def write(job: Job, manifest: Manifest) -> None:
    """Copy the piece's files to where DVC expects them."""
    del manifest
    copy_outputs(job)


STAGE = Stage(
    name="train",
    summary="train the network, with checkpoints and exact resume",
    sections=(ModelParams, TrainParams, RuntimeParams),
    takes=TAKES,
    gives={
        "weights": Port("results/train/weights.safetensors", "weights"),
        "model": Port("results/train/model.json", "numbers"),
        "metrics": Port("results/train/metrics.json", "metrics"),
        "curve": Port("results/train/curve.csv", "plots"),
    },
    code=lambda sections: ("geocore.pipeline.training", network_code(sections)),
    make=make,
    write=write,
)

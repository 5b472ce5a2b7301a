"""``ensemble``: the network several times over, a cached chunk of members after the other."""

from __future__ import annotations

from geocore.config.ensemble import EnsembleParams
from geocore.config.model import ModelParams
from geocore.config.runtime import RuntimeParams
from geocore.config.train import TrainParams
from geocore.pipeline.learning import TAKES, network_code
from geocore.pipeline.piece import copy_outputs, make_piece
from geocore.pipeline.stage import Job, Manifest, Port, Stage

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Train the chunks that the store does not have, and put all members together."""
    # Here, so that `geocore check` reads this declaration without importing torch.
    from geocore.pipeline.ensembling import ensemble

    return make_piece(job, lambda folder: ensemble(job, folder))


def write(job: Job, manifest: Manifest) -> None:
    """Copy the piece's files to where DVC expects them."""
    del manifest
    copy_outputs(job)


STAGE = Stage(
    name="ensemble",
    summary="train networks that differ in their seeds, and mix their predictions",
    sections=(ModelParams, TrainParams, EnsembleParams, RuntimeParams),
    takes=TAKES,
    gives={
        "members": Port("results/ensemble/members", "weights"),
        "model": Port("results/ensemble/model.json", "numbers"),
        "predictions": Port("results/ensemble/predictions.parquet", "numbers"),
        "member_predictions": Port("results/ensemble/members.parquet", "numbers"),
        "metrics": Port("results/ensemble/metrics.json", "metrics"),
        "curves": Port("results/ensemble/curves.csv", "plots"),
    },
    code=lambda sections: ("geocore.pipeline.ensembling", network_code(sections)),
    make=make,
    write=write,
)

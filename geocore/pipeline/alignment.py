"""``alignment``: how the tangent kernel turns towards the targets while the network learns."""

from __future__ import annotations

from geocore.config.alignment import AlignmentParams
from geocore.config.model import ModelParams
from geocore.config.runtime import RuntimeParams
from geocore.config.train import TrainParams
from geocore.pipeline.learning import TAKES, network_code
from geocore.pipeline.piece import copy_outputs, make_piece
from geocore.pipeline.stage import Job, Manifest, Port, Stage

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Train the first epochs again, measuring at the end of each, or find that in the store."""
    # Here, so that `geocore check` reads this declaration without importing torch.
    from geocore.pipeline.alignment_measuring import measure

    return make_piece(job, lambda folder: measure(job, folder))


def write(job: Job, manifest: Manifest) -> None:
    """Copy the piece's files to where DVC expects them."""
    del manifest
    copy_outputs(job)


STAGE = Stage(
    name="alignment",
    summary="how the tangent kernel turns towards the targets in the first epochs of training",
    sections=(ModelParams, TrainParams, AlignmentParams, RuntimeParams),
    takes={**TAKES, "curve": Port("results/train/curve.csv", "plots")},
    gives={
        "metrics": Port("results/alignment/metrics.json", "metrics"),
        "table": Port("results/alignment/alignment.csv", "plots"),
        "pictures": Port("results/alignment/pictures", "pictures"),
    },
    code=lambda sections: ("geocore.pipeline.alignment_measuring", network_code(sections)),
    make=make,
    write=write,
)

"""``ntk``: what the network would be at infinite width, by its kernels, block by cached block."""

from __future__ import annotations

from geocore.config.ntk import NtkParams
from geocore.config.runtime import RuntimeParams
from geocore.pipeline.piece import copy_outputs, make_piece
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.types import labelled_maps

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Compute the blocks that the store does not have, and regress with the whole kernels."""
    # Here, so that `geocore check` reads this declaration without importing torch.
    from geocore.pipeline.kernel_twin import kernel_twin

    return make_piece(job, lambda folder: kernel_twin(job, folder, labelled_maps(job.sections)))


def write(job: Job, manifest: Manifest) -> None:
    """Copy the piece's files to where DVC expects them."""
    del manifest
    copy_outputs(job)


STAGE = Stage(
    name="ntk",
    summary="kernels of the infinitely wide network, and regression with them",
    sections=(NtkParams, RuntimeParams),
    takes={"healpix": Port("data/healpix", "table", type=labelled_maps)},
    gives={
        "predictions": Port("results/ntk/predictions.parquet", "numbers"),
        "kernels": Port("results/ntk/kernels.safetensors", "numbers"),
        "subset": Port("results/ntk/subset.parquet", "numbers"),
        "metrics": Port("results/ntk/metrics.json", "metrics"),
        "spectrum": Port("results/ntk/spectrum.csv", "plots"),
    },
    code=("geocore.pipeline.kernel_twin",),
    make=make,
    write=write,
)

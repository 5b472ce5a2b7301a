"""``spheres``: maps of a few samples, of what the network says of them, and of both turned."""

from __future__ import annotations

from functools import partial

from geocore.config.runtime import RuntimeParams
from geocore.config.spheres import SpheresParams
from geocore.pipeline.piece import copy_outputs, make_piece
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.types import SOURCES, table_type

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Run the network on the samples and their turns, or find that in the store."""
    # Here, so that `geocore check` reads this declaration without importing torch.
    from geocore.pipeline.sphere_measuring import measure

    return make_piece(job, lambda folder: measure(job, folder))


def write(job: Job, manifest: Manifest) -> None:
    """Copy the piece's files to where DVC expects them."""
    del manifest
    copy_outputs(job)


STAGE = Stage(
    name="spheres",
    summary="maps of a few samples to be looked at: input, label, prediction, uncertainty, their "
    "power spectra, and f(R x) beside R f(x)",
    sections=(SpheresParams, RuntimeParams),
    takes={
        **{
            name: Port(
                f"data/{name}",
                "table",
                type=partial(table_type, name),
                optional=True,
                choice=True,
            )
            for name in SOURCES
            if name != "projected"
        },
        "weights": Port("results/train/weights.safetensors", "weights"),
        "model": Port("results/train/model.json", "numbers"),
    },
    gives={
        "maps": Port("results/spheres/maps.arrow", "numbers"),
        "metrics": Port("results/spheres/metrics.json", "metrics"),
    },
    code=("geocore.pipeline.sphere_measuring",),
    make=make,
    write=write,
)

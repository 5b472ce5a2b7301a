"""How a variant is laid out before any Verilog of it is written: lanes, and queues before joins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geocore.edge.dataflow import Timing
from geocore.edge.description import QuantisedModel
from geocore.edge.estimate import estimate
from geocore.edge.layout import choose_lanes
from geocore.edge.queues import joins, size_queues
from geocore.edge.verilog import Layout
from geocore.pipeline.piece import make_part
from geocore.pipeline.stage import Job

__all__ = ["planned_layout"]


def planned_layout(
    job: Job, model: QuantisedModel, digest: str, *, dense_cycles: int | None
) -> Layout:
    """The layout by which ``model`` is estimated, and the depths that hls4ml's streams are given.

    Queues are part ``queues``: the least with which nothing is lost, as in ``choose_layout``, but
    with the kernels' cycles estimated, so that no other tool is asked. ``digest`` stands for the
    network in its key. Raises ``UserError`` as ``choose_lanes``.
    """
    lanes = choose_lanes(model, dense_cycles=dense_cycles)
    if not joins(model):
        return Layout(lanes=lanes)

    def build(folder: Path) -> dict[str, Any]:
        del folder
        timing = Timing(estimate(model, Layout(lanes=lanes)).kernels, lanes)
        sized = size_queues(model, timing)
        return {"queues": [[*edge, words] for edge, words in sized.items()]}

    piece = make_part(
        job, "queues", build,
        parameters={"lanes": lanes}, inputs={"network": digest}, code=[__name__],
    )  # fmt: skip
    queues = {(source, reader): words for source, reader, words in piece.values["queues"]}
    return Layout(lanes=lanes, queues=queues)

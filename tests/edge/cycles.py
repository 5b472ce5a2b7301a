"""What tests of cycles share: a design's timing, and whether its queues are the least."""

from __future__ import annotations

import dataclasses

from geocore.edge.dataflow import Timing, flow
from geocore.edge.description import QuantisedModel
from geocore.edge.queues import joins
from geocore.edge.verilog import Design

__all__ = ["LANES", "minimal", "timing"]

LANES = {"first": 2}


def timing(design: Design, **changes: object) -> Timing:
    found = {name: kernel.latency for name, kernel in design.kernels.items()}
    return Timing(latency=found, **changes)  # type: ignore[arg-type]


def minimal(model: QuantisedModel, sized: Timing, images: int) -> bool:
    """Nothing comes later than with long queues, and with a word less in any of them it does."""
    roomy = dataclasses.replace(sized, queues=dict.fromkeys(joins(model), 10**6))
    limits = flow(model, roomy, images).cycles

    def lost(queues: dict[tuple[str, str], int]) -> bool:
        used = {edge: depth for edge, depth in queues.items() if depth}
        found = flow(model, dataclasses.replace(sized, queues=used), images, limits=limits)
        return found.late or bool(found.stopped)

    return not lost({**sized.queues}) and all(
        lost({**sized.queues, edge: depth - 1}) for edge, depth in sized.queues.items()
    )

"""The search of ``synthesize`` for bits: fewer of them layer by layer, as a part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from geocore.config.synthesize import Variant
from geocore.edge.bit_search import WEIGHTS, BitSearch, calibration_loss
from geocore.edge.bits import Bits, LayerBits
from geocore.edge.description import QuantisedModel
from geocore.edge.estimate import estimate
from geocore.edge.float_graph import FloatGraph
from geocore.edge.layout import choose_lanes
from geocore.edge.verilog import Layout
from geocore.pipeline.piece import make_part
from geocore.pipeline.stage import Job
from geocore.pipeline.synthesis_networks import Networks
from geocore.runs.store import Piece
from geocore.train.feed import Feed

__all__ = ["search_bits"]


def search_bits(
    job: Job,
    networks: Networks,
    chosen: Variant,
    graph: FloatGraph,
    feed: Feed,
    inputs: Mapping[str, str],
) -> tuple[Piece, Bits]:
    """Part ``bit-search``: the last point of a search from the variant's bits down, and all passed.

    It goes on while the calibration loss, without retraining, rises by ``search_rise`` at most; the
    cost is the estimate's look-up tables. Binary weights, which have no zero, are no choice for a
    variant that will be pruned. ``inputs`` stand for ``graph`` and ``feed`` in the key.
    """
    start = networks.bits(chosen)
    assert chosen.search_rise is not None  # who asks says how far
    rise = chosen.search_rise
    choices = [bits for bits in WEIGHTS if not chosen.sparsity or bits != "binary"]

    def build(folder: Path) -> dict[str, Any]:
        del folder
        smaller, peaks = networks.smaller(chosen, graph)
        loss = calibration_loss(feed, objective=networks.objective(feed))
        search = BitSearch(smaller, peaks, start, loss=loss, cost=_luts, weights=choices)
        points = search.search(rise)
        return {
            "points": [{"luts": float(f"{p.cost:.4g}"), "loss": p.loss} for p in points],
            "layers": [
                [name, layer.weights, layer.activations]
                for name, layer in sorted(points[-1].bits.layers.items())
            ],
        }

    piece = make_part(
        job,
        "bit-search",
        build,
        parameters={
            "start": asdict(start), "search_rise": rise, "filter_error": chosen.filter_error,
            "weights": choices,
        },
        inputs=inputs,
        code=[__name__],
    )  # fmt: skip
    layers = {
        name: LayerBits(weights, activations)
        for name, weights, activations in piece.values["layers"]
    }
    return piece, Bits(start.weights, start.activations, start.inputs, layers)


def _luts(model: QuantisedModel) -> float:
    return estimate(model, Layout(lanes=choose_lanes(model))).total.lut.value

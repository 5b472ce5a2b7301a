"""``geocore estimate synthesize``: what the variants will take on the chip, before they learn."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch

from geocore.config.synthesize import SynthesizeParams
from geocore.data.table import Table
from geocore.edge.calibration import activation_peaks
from geocore.edge.device import PARTS, named_part
from geocore.edge.estimate import Estimate, estimate
from geocore.edge.float_graph import FloatGraph
from geocore.edge.layout import choose_lanes
from geocore.edge.nodes import Shape
from geocore.edge.quantised import QuantisedNetwork
from geocore.edge.synthesis import Resources
from geocore.edge.tracing import trace
from geocore.edge.verilog import Layout
from geocore.pipeline.stage import Job
from geocore.pipeline.synthesis_networks import Images, Networks
from geocore.pipeline.synthesize import wanted_type
from geocore.train.feed import table_feed

__all__ = ["Planned", "estimate_variants"]

_IMAGES = 64  # whose values say how large grids must be
_LEARNT = ("filter_error", "search_rise")  # keys of a variant that ask trained weights


@dataclass(frozen=True)
class Planned:
    """A variant as it will be laid out, and what it is estimated to take of ``part``.

    ``whole`` is all of that part; None, and ``part`` empty, where it is not known. ``ignored`` are
    what the variant says and the estimate does not know: it is an upper bound there.
    """

    variant: str
    estimate: Estimate
    part: str
    whole: Resources | None
    ignored: tuple[str, ...] = ()


def estimate_variants(job: Job) -> list[Planned]:
    """Every variant of the stage's section, with weights as they begin and pruned to its sparsity.

    Trained weights have other digits, so that adders may come to a tenth more or less. Only they
    tell which filters leave (``filter_error``) and which layers take fewer bits (``search_rise``):
    such variants are estimated as if they had neither. Variants whose products lie in DSP slices
    are left out, as no such design is estimated, and so are the queues before joins, whose lengths
    take longer to find than all else: 1 to 3 % of an ENet's LUTs. Nothing is trained, taken from
    the store or left there. Raises ``UserError`` for a table that is not there, and for a section
    that the stage refuses.
    """
    params = job.section(SynthesizeParams)
    table = Table.open(job.input("raw"), wanted_type(job.sections))
    shape: Shape = table.info.type.shape  # type: ignore[assignment]
    feed = table_feed(table, "train", torch.device("cpu"))
    classes, where = tuple(table.info.classes), job.stage.takes["raw"].path
    networks = Networks(job, Images({"train": feed}, shape, classes, where, {}))
    networks.require()
    graph = trace(networks.seeded().eval(), shape)
    peaks = activation_peaks(graph, feed, images=_IMAGES)
    part = named_part(params.part)
    found = []
    for name, chosen in params.chosen().items():
        if chosen.products:
            continue
        pruned = _pruned(graph, chosen.sparsity or 0.0)
        model = QuantisedNetwork(pruned, networks.bits(chosen), peaks).describe()
        layout = Layout(lanes=choose_lanes(model, dense_cycles=params.dense_cycles))
        ignored = tuple(key for key in _LEARNT if getattr(chosen, key) is not None)
        found.append(Planned(name, estimate(model, layout), part, PARTS.get(part), ignored))
    return found


def _pruned(graph: FloatGraph, sparsity: float) -> FloatGraph:
    """The smallest of all weights are 0."""
    if not sparsity:
        return graph
    sizes = torch.cat([node.weight.abs().flatten() for node in graph.weighted])
    least = sizes.kthvalue(max(1, int(sparsity * len(sizes)))).values
    return graph.replaced(
        {
            node.name: dataclasses.replace(
                node, weight=torch.where(node.weight.abs() <= least, 0.0, node.weight)
            )
            for node in graph.weighted
        }
    )

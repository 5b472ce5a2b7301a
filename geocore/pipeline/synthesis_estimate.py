"""``geocore estimate synthesize``: what the variants will take on the chip, before they learn."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import nn

from geocore.config.synthesize import SynthesizeParams
from geocore.data.table import Table
from geocore.edge.calibration import activation_peaks
from geocore.edge.device import PARTS
from geocore.edge.enet import Enet
from geocore.edge.estimate import Estimate, estimate
from geocore.edge.float_graph import FloatGraph
from geocore.edge.layout import choose_lanes
from geocore.edge.nodes import Shape
from geocore.edge.quantised import QuantisedNetwork
from geocore.edge.street_cnn import build_street_cnn
from geocore.edge.student import build_student
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

    ``whole`` is all of that part, None where it is not known. ``ignored`` are what the variant says
    and the estimate does not know: it is an upper bound there.
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
    are left out, as no such design is estimated. Nothing is trained, taken from the store or left
    there. Raises ``UserError`` for a table that is not there.
    """
    params = job.section(SynthesizeParams)
    table = Table.open(job.input("raw"), wanted_type(job.sections))
    shape: Shape = table.info.type.shape  # type: ignore[assignment]
    feed = table_feed(table, "train", torch.device("cpu"))
    images = Images({"train": feed}, shape, tuple(table.info.classes), job.stage.takes["raw"].path)
    networks = Networks(job, images)
    graph = trace(_network(params, shape, len(images.classes)).eval(), shape)
    peaks = activation_peaks(graph, feed, images=_IMAGES)
    part = params.part.split("-")[0]
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


def _network(params: SynthesizeParams, shape: Shape, classes: int) -> nn.Module:
    if params.network == "street_cnn":
        return build_street_cnn(classes, params.seed)
    assert params.channels is not None  # the section says so
    if params.network == "enet":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(params.seed)
            return Enet(params.channels, classes)
    return build_student(shape, params.channels, classes, params.seed)


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

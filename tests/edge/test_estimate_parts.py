"""Parts of a node are the instances in its Verilog, parameter by parameter."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from geocore.edge.estimate_parts import KINDS, KernelCount, Part, features, node_parts
from geocore.edge.node_module import Place
from geocore.edge.verilog import Layout, write_verilog
from tests.edge.networks import branched

_INSTANCE = re.compile(r"geocore_(\w+) #\((.*?)\) \w+ \(", re.S)
_GIVEN = re.compile(r"\.(\w+)\((-?\d+)\)")
Found = Counter[tuple[str, frozenset[tuple[str, int]]]]


def of_verilog(text: str) -> Found:
    """Modules of ours by their parameters; one inside another counts with that one."""
    found: Found = Counter()
    for kind, given in _INSTANCE.findall(text):
        found[kind, frozenset((key, int(value)) for key, value in _GIVEN.findall(given))] += 1
    return found


def of_parts(parts: list[Part]) -> Found:
    found: Found = Counter()
    for part in parts:
        if part.kind not in ("kernel", "sum"):
            found[part.kind, frozenset(part.parameters.items())] += part.count
    return found


def test_parts_are_what_is_written() -> None:
    """Every kind of node, dense ones of both kinds; branches on grids of their own."""
    model = branched()
    layout = Layout(lanes={"first": 2})
    design = write_verilog(model, layout)
    for node in model.nodes:
        kernel = design.kernels.get(node.name)
        count = None
        if kernel is not None:
            count = KernelCount(kernel.adders, kernel.registers, kernel.latency)
        place = Place(
            node, [model.shapes[s] for s in node.sources], [model.grids[s] for s in node.sources],
            model.shapes[node.name], model.grids[node.name], layout.levels,
            layout.lanes.get(node.name), "net",
        )  # fmt: skip
        parts = node_parts(place, count)
        assert of_parts(parts) == of_verilog(design.files[f"{design.modules[node.name]}.v"])
        kernels = [part for part in parts if part.kind == "kernel"]
        assert len(kernels) == (kernel is not None)
        if kernel is not None:
            assert kernels[0].parameters["ADDERS"] == kernel.adders


def test_every_kind_has_features_and_none_is_negative() -> None:
    model = branched()
    kinds = set()
    for node in model.nodes:
        lanes = 3 if node.name == "first" else None
        place = Place(
            node, [model.shapes[s] for s in node.sources], [model.grids[s] for s in node.sources],
            model.shapes[node.name], model.grids[node.name], 4, lanes, "net",
        )  # fmt: skip
        for part in node_parts(place, KernelCount(9.0, 9.0, 2)):
            kinds.add(part.kind)
            assert min(features(part).values()) >= 0
    assert kinds == KINDS.keys() - {"fork"}
    with pytest.raises(ValueError, match=r"kind is 'mystery'; expected one of credit, dense"):
        features(Part("mystery"))


@pytest.mark.parametrize(
    ("bits", "depth", "tables", "banks"),
    [(14, 32, 8, 0), (15, 32, 16, 0), (28, 33, 32, 0), (7, 64, 8, 0), (28, 65, 48, 2)],
)
def test_memory_by_hand(bits: int, depth: int, tables: int, banks: int) -> None:
    """Of eight tables 32 words of 14 bits or 64 of 7, as yosys chose of them too."""
    found = features(Part("fifo", {"BITS": bits, "DEPTH": depth}))
    assert (found["memory"], found["banks"]) == (tables, banks)


def test_a_wider_word_or_a_longer_row_is_no_smaller() -> None:
    for width in (30, 62, 90, 200):
        narrow = features(Part("upsample", {"WIDTH": width, "BITS": 6, "FACTOR": 2}))
        wide = features(Part("upsample", {"WIDTH": width + 40, "BITS": 8, "FACTOR": 2}))
        assert all(wide[name] >= narrow[name] for name in ("memory", "bits", "counters"))


def test_a_kernel_that_nobody_counted_is_refused() -> None:
    model = branched()
    node = model.nodes[0]
    place = Place(
        node, [model.shape], [model.input], model.shapes[node.name], model.grids[node.name], 4,
        None, "net",
    )  # fmt: skip
    with pytest.raises(ValueError, match="count of halved is None; expected its kernel's"):
        node_parts(place, None)

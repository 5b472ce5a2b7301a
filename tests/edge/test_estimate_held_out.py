"""Kernels that were counted by yosys and never fitted, against the estimator as it is."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmarks.estimator_draws import HELD, drawn_node
from geocore.edge.estimate_fit import KernelRun, PartRun, fit_kernels, fit_parts
from geocore.edge.estimate_parts import Part, features
from geocore.edge.estimate_table import ADDERS, LATENCY, PARTS, REGISTERS
from geocore.edge.kernel_size import KernelSize
from geocore.edge.kernels import adder_kernel
from geocore.edge.nodes import Dense

RUNS = Path(__file__).parents[2] / "benchmarks" / "results" / "estimator_runs.jsonl"


@cache
def kernel_rows() -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in RUNS.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["kind"] == "kernel"]


def counted(name: str) -> dict[str, Any]:
    (row,) = [row for row in kernel_rows() if row.get("held") == name]
    return row


def node_of(name: str) -> Dense:
    """Drawn as ``benchmarks/estimator.py --measure held`` draws it."""
    return drawn_node(HELD[name], seed=1000 + list(HELD).index(name))


def tables(adders: float, registers: float, biases: int) -> float:
    part = Part("kernel", {"ADDERS": adders, "REGISTERS": registers, "BIASES": biases})
    return PARTS["kernel"].lut(features(part))


@pytest.mark.parametrize("name", HELD)
def test_from_weights_alone_within_nine_percent(name: str) -> None:
    row, size = counted(name), KernelSize.of(node_of(name))
    assert size == KernelSize(**row["size"])  # the kernel that yosys counted
    adders = math.exp(ADDERS(size.features()))
    assert tables(adders, 0.0, size.biases) == pytest.approx(row["lut"], rel=0.09)


@pytest.mark.parametrize("name", HELD)
def test_with_adders_counted_within_four_percent(name: str) -> None:
    row, node = counted(name), node_of(name)
    kernel = adder_kernel("held", node, node.weight)
    biases = int(node.bias.count_nonzero())
    found = tables(kernel.adders, kernel.registers, biases)
    assert found == pytest.approx(row["lut"], rel=0.04)


def test_what_is_shipped_is_the_fit_without_them() -> None:
    assert {row["held"] for row in kernel_rows() if "held" in row} == HELD.keys()
    runs = [
        KernelRun(
            KernelSize(**row["size"]), row["levels"], row["adders"], row["registers"],
            row["latency"], row["lut"], row["ff"],
        )
        for row in kernel_rows()
        if "held" not in row and row["adders"] > 100
    ]  # fmt: skip
    assert not {run.size for run in runs} & {KernelSize.of(node_of(name)) for name in HELD}
    kernels = fit_kernels(runs)
    parts = fit_parts(
        [PartRun(run.part, run.lut, run.ff) for run in runs if run.lut is not None and run.ff]
    )
    for found, shipped in (
        (kernels.adders, ADDERS),
        (kernels.registers, REGISTERS),
        (kernels.latency, LATENCY),
        (parts["kernel"].lut, PARTS["kernel"].lut),
        (parts["kernel"].ff, PARTS["kernel"].ff),
    ):
        assert found.rows == shipped.rows
        assert found.coefficients == pytest.approx(dict(shipped.coefficients), rel=1e-3, abs=1e-6)

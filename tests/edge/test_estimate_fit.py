"""Parts through yosys, many at once, against each alone and against what is shipped."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from geocore.edge.estimate import estimate
from geocore.edge.estimate_fit import (
    KernelRun,
    PartRun,
    fit_kernels,
    fit_parts,
    synthesise_kernels,
    synthesise_parts,
)
from geocore.edge.estimate_model import LEAST
from geocore.edge.estimate_parts import Part, features
from geocore.edge.estimate_table import PARTS
from geocore.edge.kernel_size import KernelSize
from geocore.edge.kernels import adder_kernel
from geocore.edge.synthesis import synthesise
from geocore.edge.verilog import write_verilog
from tests.edge.networks import tiny

SAMPLES = [
    Part("fifo", {"BITS": 20, "DEPTH": 40}),
    Part("credit", {"BITS": 48, "LATENCY": 3, "DEPTH": 5}),
    Part("fork", {"READERS": 3}),
    Part("pool", {"HEIGHT": 12, "WIDTH": 20, "CHANNELS": 6, "BITS": 5, "SIGNED": 0, "SIZE": 2}),
    Part("upsample", {"WIDTH": 24, "BITS": 30, "FACTOR": 2}),
    Part(
        "requantise",
        {
            "IN_BITS": 15, "IN_SIGNED": 1, "IN_FRACTION": 9,
            "OUT_BITS": 6, "OUT_SIGNED": 0, "OUT_FRACTION": 4,
        },
    ),
    Part(
        "window",
        {
            "HEIGHT": 20, "WIDTH": 30, "BITS": 24, "ROWS": 3, "COLUMNS": 3, "STRIDE": 1,
            "ABOVE": 1, "BELOW": 1, "LEFT": 1, "RIGHT": 1,
        },
    ),
    Part("sum", {"BITS": 9, "TERMS": 2}),
]  # fmt: skip


def test_what_is_shipped_holds_for_the_modules_that_are_there(tmp_path: Path) -> None:
    """Within three of its errors: a change of the Verilog asks for a new fit."""
    for part, found in zip(SAMPLES, synthesise_parts(SAMPLES, tmp_path), strict=True):
        model = PARTS[part.kind]
        for told, counted in ((model.lut, found.lut), (model.ff, found.ff)):
            off = (told(features(part)) - counted) / max(counted, LEAST)
            assert abs(off) <= 3 * told.error + 0.02, f"{part}: {counted} counted, {off:+.2f} off"
        assert found.dsp == found.bram == 0


@pytest.mark.slow
def test_a_part_among_others_takes_what_it_takes_in_a_design(tmp_path: Path) -> None:
    """A kernel beside another one, and alone as the module of a design."""
    model = tiny()
    design = write_verilog(model)
    kernel = design.kernels["convolution"]
    other = write_verilog(tiny(1), name="other").kernels["convolution"]
    beside = synthesise_kernels([other, kernel], tmp_path / "two")[1]
    alone = synthesise(design.part(kernel.name), tmp_path / "one").resources
    assert dataclasses.astuple(beside) == pytest.approx(dataclasses.astuple(alone), abs=2)


@pytest.mark.slow
def test_a_whole_node_is_estimated(tmp_path: Path) -> None:
    """Window, kernel, rounding and queue in one module, merged as yosys likes."""
    model = tiny()
    design = write_verilog(model)
    found = synthesise(design.part(design.modules["convolution"]), tmp_path).resources
    area = estimate(model, None, design.kernels).areas["convolution"]
    assert area.lut.value == pytest.approx(found.lut, rel=0.15)
    assert area.ff.value == pytest.approx(found.ff, rel=0.15)


def test_a_law_of_parts_is_found_again() -> None:
    runs = [PartRun(Part("fork", {"READERS": n}), lut=20 + 30 * n, ff=40 * n) for n in range(2, 20)]
    models = fit_parts(runs)
    assert models.keys() == {"fork"}
    assert models["fork"].lut.coefficients == pytest.approx({"one": 20, "readers": 30}, rel=1e-3)
    assert models["fork"].ff.error < 1e-9


def test_kernels_are_fitted_by_their_digits() -> None:
    """Counts by a law of their own, that the digits' tree has to do with."""
    generator = torch.Generator().manual_seed(0)
    (base,) = tiny().weighted
    runs = []
    for n in range(60):
        shape = [(2, 2, 3, 3), (5, 2, 3, 3), (9, 4, 1, 1), (3, 1, 2, 5)][n % 4]
        weight = torch.randint(-7, 8, shape, generator=generator)
        node = dataclasses.replace(base, weight=weight, bias=torch.zeros(shape[0]).long())
        size = KernelSize.of(node)
        adders = 3.0 * max(size.tree - size.outputs / 2, 1.0) ** 0.9
        runs.append(KernelRun(size, 2 + n % 5, adders, round(adders), 2))
    found = fit_kernels(runs)
    assert found.adders.error < 0.05 and found.latency.error < 0.02
    assert found.adders.rows == 60


def test_a_run_is_a_part_with_alkaids_counts() -> None:
    (node,) = tiny().weighted
    weight = node.weight.flatten(1)
    kernel = adder_kernel("one", node, weight)
    size = KernelSize.of(node)
    run = KernelRun(size, 4, kernel.adders, kernel.registers, kernel.latency)
    assert run.part.parameters == {
        "ADDERS": kernel.adders, "REGISTERS": kernel.registers, "BIASES": 2,
    }  # fmt: skip

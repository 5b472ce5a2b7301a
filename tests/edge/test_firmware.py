"""The sources: the same in every folder, quiet, and never in a layout that computes otherwise."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from geocore.edge.description import QuantisedModel
from geocore.edge.firmware import FirmwareOptions, write_firmware
from geocore.edge.qonnx_file import write_qonnx
from geocore.runs.digest import digest_tree
from tests.edge.students import quantised

PLAIN = FirmwareOptions("io_parallel", "Latency", 1, "Vitis", 5.0, "xczu9eg-ffvb1156-2-e")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, QuantisedModel]:
    path = tmp_path_factory.mktemp("qonnx") / "student.onnx"
    student = quantised((6, 5, 2), (3, 4))
    write_qonnx(student, path)
    return path, student.describe()


def written(
    given: tuple[Path, QuantisedModel], folder: Path, **changes: object
) -> tuple[Path, dict[str, int]]:
    options = dataclasses.replace(PLAIN, **changes)  # type: ignore[arg-type]
    folder.mkdir(parents=True)
    reuse = write_firmware(*given, options, folder / "sources", folder / "log")
    return folder / "sources", reuse


def test_equal_arguments_give_equal_files_wherever(
    given: tuple[Path, QuantisedModel], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first, _ = written(given, tmp_path / "one")
    second, _ = written(given, tmp_path / "two" / "and a longer path")
    assert digest_tree(first) == digest_tree(second)
    assert str(tmp_path).encode() not in b"".join(
        path.read_bytes() for path in first.rglob("*") if path.is_file()
    )
    names = {path.relative_to(first).as_posix() for path in first.rglob("*") if path.is_file()}
    assert {"firmware/student.cpp", "firmware/parameters.h", "build_lib.sh"} <= names
    assert not [name for name in names if name.endswith((".yml", ".gz", ".so"))]
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert "Creating HLS model" in (tmp_path / "one" / "log").read_text()


def test_widths_are_the_descriptions(given: tuple[Path, QuantisedModel], tmp_path: Path) -> None:
    folder, _ = written(given, tmp_path / "a")
    defines = (folder / "firmware/defines.h").read_text()
    model = given[1]
    assert f"typedef ap_{model.input} input_t;" in defines
    for place, layer in enumerate(model.weighted):
        name = "dense_matmul_0" if layer.kind == "dense" else f"conv2d_conv_{place}"
        assert f"typedef ap_{layer.accumulator} {name}_accum_t;" in defines


def test_clock_and_part_change_scripts_alone(
    given: tuple[Path, QuantisedModel], tmp_path: Path
) -> None:
    first, _ = written(given, tmp_path / "a")
    second, _ = written(given, tmp_path / "b", clock_period=2.5, part="xc7z020clg400-1")
    differing = [
        path.relative_to(first).as_posix()
        for path in first.rglob("*")
        if path.is_file() and path.read_bytes() != (second / path.relative_to(first)).read_bytes()
    ]
    assert differing == ["project.tcl"]
    script = (second / "project.tcl").read_text()
    assert 'set part "xc7z020clg400-1"' in script and "set clock_period 2.5" in script


@pytest.mark.parametrize(
    ("strategy", "asked", "taken"),
    [
        ("Latency", 5, (5, 5, 5)),
        # Of convolution 0 (fan-in 18, 3 outputs), convolution 1 (27, 4) and dense (4, 3); 100 is
        # above the fan-in of each, where hls4ml itself would write sources that compute otherwise.
        ("Resource", 4, (3, 3, 4)),
        ("Resource", 100, (18, 27, 4)),
    ],
)
def test_reuse_factors_are_those_that_a_layer_can_take(
    given: tuple[Path, QuantisedModel],
    tmp_path: Path,
    strategy: str,
    asked: int,
    taken: tuple[int, ...],
) -> None:
    _, reuse = written(given, tmp_path / "a", strategy=strategy, reuse_factor=asked)
    assert tuple(reuse.values()) == taken


def test_a_file_of_another_network_is_refused(
    given: tuple[Path, QuantisedModel], tmp_path: Path
) -> None:
    file, model = given
    shorter = quantised((6, 5, 2), (3,)).describe()
    with pytest.raises(ValueError, match=r"holds \['Conv', 'Conv', 'MatMul'\]; expected \['conv"):
        write_firmware(file, shorter, PLAIN, tmp_path / "a", tmp_path / "log")
    first = model.weighted[0]
    other = dataclasses.replace(first, weight=first.weight.flip(0))
    swapped = dataclasses.replace(model, nodes=(other, *model.nodes[1:]))
    with pytest.raises(RuntimeError, match=r"hls4ml: weight of Conv2D_Conv_0 is not the desc"):
        write_firmware(file, swapped, PLAIN, tmp_path / "b", tmp_path / "log")

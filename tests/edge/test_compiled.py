"""The compiled firmware: each logit equal, as a number, to the quantised student's."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch

from geocore.edge.compiled import CompiledFirmware, compile_firmware
from geocore.edge.firmware import FirmwareOptions, write_firmware
from geocore.edge.qonnx_file import write_qonnx
from geocore.edge.quantised import Bits, exact_logits
from geocore.errors import UserError
from tests.edge.students import feed, images, quantised

PART = "xczu9eg-ffvb1156-2-e"
Shape = tuple[int, int, int]


def check(
    folder: Path,
    options: FirmwareOptions,
    shape: Shape = (5, 4, 1),
    channels: tuple[int, ...] = (2,),
    bits: Bits | None = None,
) -> CompiledFirmware:
    """All of the way from a student to its firmware, on a hundred images."""
    student = quantised(shape, channels, bits or Bits(4, 3, 5))
    model = student.describe()
    write_qonnx(student, folder / "student.onnx")
    sources = Path(tempfile.mkdtemp(dir=folder))
    write_firmware(folder / "student.onnx", model, options, sources, folder / "log")
    compiled = compile_firmware(sources, model, folder / "log")
    given = images(100, shape)
    wanted = exact_logits(student, feed(100, shape), 50)
    assert torch.equal(compiled.logits(given), wanted)
    # A chip that streams keeps state from image to image: the order must not matter.
    assert torch.equal(compiled.logits(given.flip(0)), wanted.flip(0))
    return compiled


def test_streaming_firmware_is_exact(tmp_path: Path) -> None:
    compiled = check(tmp_path, FirmwareOptions("io_stream", "Latency", 1, "Vitis", 5.0, PART))
    with pytest.raises(ValueError, match=r"images are \(4, 4, 1\); expected \(5, 4, 1\)"):
        compiled.logits(torch.zeros(1, 4, 4, 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("io_type", "strategy", "backend"),
    [
        ("io_parallel", "Latency", "Vivado"),
        ("io_parallel", "Resource", "Vitis"),
        ("io_stream", "Latency", "Vivado"),
        ("io_stream", "Resource", "Vitis"),
    ],
)
@pytest.mark.parametrize(
    ("shape", "channels", "bits", "reuse"),
    [
        ((8, 8, 1), (4, 8), Bits(6, 6, 8), 1),
        ((7, 11, 3), (4, 3), Bits(4, 3, 5), 4),
        ((4, 4, 2), (3, 5), Bits(2, 2, 2), 1000),
        ((9, 9, 1), (3,), Bits(12, 12, 12), 3),
    ],
)
def test_every_layout_is_exact(
    tmp_path: Path,
    io_type: str,
    strategy: str,
    backend: str,
    shape: Shape,
    channels: tuple[int, ...],
    bits: Bits,
    reuse: int,
) -> None:
    options = FirmwareOptions(io_type, strategy, reuse, backend, 5.0, PART)  # type: ignore[arg-type]
    check(tmp_path, options, shape, channels, bits)


def test_sources_that_do_not_compile_are_told_in_a_line(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    (sources / "firmware").mkdir(parents=True)
    script = 'cd "$(dirname "$0")"\ng++ -fsyntax-only firmware/student.cpp\n'
    (sources / "build_lib.sh").write_text(script)
    (sources / "firmware/student.cpp").write_text("#include <no_such_header.h>\n")
    model = quantised((4, 4, 1), (2,)).describe()
    with pytest.raises(UserError) as error:
        compile_firmware(sources, model, tmp_path / "log")
    assert str(error.value) == (
        "g++: firmware/student.cpp:1:10: fatal error: no_such_header.h: No such file or directory; "
        f"expected sources that compile: all of it is in {tmp_path / 'log'}"
    )
    assert "compilation terminated" in (tmp_path / "log").read_text()

"""The compiled firmware: each number equal to the reference's, whatever the layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from geocore.edge.compiled import compile_firmware
from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, Add, Concatenate, Convolution, Dense, MaxPool, Upsample
from geocore.edge.preflight import corner_images, self_check
from geocore.edge.reference import reference_logits
from geocore.errors import UserError
from tests.edge.firmwares import compiled, written
from tests.edge.networks import PLAIN, SIGNED, branched
from tests.edge.students import images

WIDE = FixedPoint(16, 15, signed=False)
FINE = FixedPoint(16, 14, signed=True)


def maps() -> QuantisedModel:
    """A map, of wide numbers, of three ways that meet, enlarged; its height is not its width."""
    generator = torch.Generator().manual_seed(0)

    def convolution(name: str, source: str, given: FixedPoint, out: FixedPoint) -> Convolution:
        weight = torch.randint(-(2**15), 2**15, (2, 2, 1, 1), generator=generator)
        bias = torch.randint(-(2**30), 2**30, (2,), generator=generator)
        return Convolution(name, (source,), weight, bias, FINE, given, out)

    grid = FixedPoint(12, 9, signed=True)
    return QuantisedModel(
        (3, 4, 2),
        PLAIN,
        (
            convolution("a", IMAGES, PLAIN, WIDE),
            convolution("b", IMAGES, PLAIN, SIGNED),
            Add("c", ("a", "b", IMAGES), grid),
            Concatenate("d", ("c", "a", "c"), FixedPoint(11, 9, signed=True)),
            Upsample("e", ("d",), 2),
        ),
    )


def vectors() -> QuantisedModel:
    """Dense nodes that meet each other and a pixel."""
    generator = torch.Generator().manual_seed(0)

    def dense(name: str, source: str, given: FixedPoint, *shape: int) -> Dense:
        weight = torch.randint(-8, 8, shape, generator=generator)
        bias = torch.randint(-20, 20, shape[:1], generator=generator)
        return Dense(name, (source,), weight, bias, SIGNED, given, SIGNED)

    return QuantisedModel(
        (3, 4, 2),
        SIGNED,
        (
            dense("a", IMAGES, SIGNED, 2, 24),
            dense("b", "a", SIGNED, 2, 2),
            MaxPool("c", (IMAGES,), 3),
            Add("d", ("a", "b", "c"), PLAIN),
            Concatenate("e", ("d", "c"), SIGNED),
            dense("f", "e", SIGNED, 3, 4),
        ),
    )


def enlarged() -> QuantisedModel:
    """Neither convolution nor pool, by which hls4ml knows that channels come last."""
    weight = torch.arange(72).reshape(3, 24) % 8 - 4
    bias = torch.tensor([5, -6, 7])
    dense = Dense("d", ("u",), weight, bias, SIGNED, PLAIN, None)
    return QuantisedModel((2, 3, 1), PLAIN, (Upsample("u", (IMAGES,), 2), dense))


@pytest.mark.parametrize(
    ("make", "io_type"),
    [
        (enlarged, "io_stream"),
        pytest.param(enlarged, "io_parallel", marks=pytest.mark.slow),
        (maps, "io_stream"),
        (vectors, "io_parallel"),
        pytest.param(maps, "io_parallel", marks=pytest.mark.slow),
        pytest.param(vectors, "io_stream", marks=pytest.mark.slow),
    ],
)
def test_values_of_any_shape(make: Any, io_type: str, tmp_path: Path) -> None:
    model = make()
    firmware = compiled(model, tmp_path, io_type=io_type)
    given = corner_images(model, 20)
    found = firmware.logits(given)
    assert found.dtype == torch.float64
    assert torch.equal(found, reference_logits(model, given))
    self_check(firmware, model)
    assert not firmware.traced
    with pytest.raises(ValueError, match=r"^images are \(4, 4, 5\); expected \(\d, \d, \d\)"):
        firmware.logits(torch.zeros(1, 4, 4, 5))
    with pytest.raises(ValueError, match=r"^the firmware is not traced; expected write_firmware\("):
        firmware.values(given)


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
@pytest.mark.parametrize("make", [branched, maps, vectors])
def test_every_layout_is_exact(
    make: Any, io_type: str, strategy: str, backend: str, tmp_path: Path
) -> None:
    layout = {"io_type": io_type, "strategy": strategy, "backend": backend}
    for reuse in (1, 4, 1000):
        self_check(compiled(make(), tmp_path, reuse_factor=reuse, **layout), make())


def test_pixels_between_the_grids_numbers_are_put_on_it(tmp_path: Path) -> None:
    model = QuantisedModel((4, 4, 1), PLAIN, (MaxPool("p", (IMAGES,)),))
    sources, _ = written(model, tmp_path)
    firmware = compile_firmware(sources, model, tmp_path / "log")
    given = 4 * images(50, (4, 4, 1))  # beyond the grid as well
    assert torch.equal(firmware.logits(given), reference_logits(model, given))


def test_sources_that_do_not_compile_are_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, model = tmp_path / "sources", branched()
    (sources / "firmware").mkdir(parents=True)
    (sources / "firmware/student.cpp").write_text("#include <no_such_header.h>\n")
    with pytest.raises(UserError) as error:
        compile_firmware(sources, model, tmp_path / "log")
    assert str(error.value) == (
        "g++: firmware/student.cpp:1:10: fatal error: no_such_header.h: No such file or directory; "
        f"expected sources that compile: all of it is in {tmp_path / 'log'}"
    )
    assert "compilation terminated" in (tmp_path / "log").read_text()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"^g\+\+: not found on PATH; expected a C\+\+ compiler"):
        compile_firmware(sources, model, tmp_path / "log")

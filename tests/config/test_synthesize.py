"""``synthesize``: rules beyond types and ranges, each told in one line."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.load import validate
from geocore.config.synthesize import SynthesizeParams
from geocore.errors import UserError

GOOD: dict[str, Any] = {
    "channels": [8, 16], "weight_bits": 6, "activation_bits": 6, "input_bits": 8, "seed": 0,
    "epochs": 15, "quantised_epochs": 8, "batch_size": 32, "lr": 0.005, "io_type": "io_parallel",
    "strategy": "Latency", "reuse_factor": 1, "backend": "Vitis", "clock_period": 5.0,
    "part": "xczu9eg-ffvb1156-2-e",
}  # fmt: skip


def test_good_ones_pass() -> None:
    params = validate(GOOD, SynthesizeParams, "params.yaml")
    assert isinstance(params, SynthesizeParams)
    assert params.channels == (8, 16)


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("channels", [], "channels is []; expected a list of 1 to 8 integers from 1 to 1024"),
        ("channels", [8, 0], "channels[1] is 0; expected an integer at least 1 and at most 1024"),
        ("weight_bits", 1, "weight_bits is 1; expected an integer at least 2 and at most 12"),
        ("input_bits", 16, "input_bits is 16; expected an integer at least 2 and at most 12"),
        ("epochs", 0, "epochs is 0; expected an integer at least 1 and at most 100000"),
        ("io_type", "stream", 'io_type is "stream"; expected one of io_parallel, io_stream'),
        ("strategy", "latency", 'strategy is "latency"; expected one of Latency, Resource'),
        ("backend", "Quartus", 'backend is "Quartus"; expected one of Vitis, Vivado'),
        ("clock_period", 0, "clock_period is 0; expected a number above 0 and at most 1000"),
        (
            "part",
            'x"; exec rm',
            'part is "x\\"; exec rm"; '
            "expected a part's name of lower-case letters, digits and -, as xczu9eg-ffvb1156-2-e",
        ),
    ],
)
def test_mistakes_are_told_in_a_line(key: str, value: object, line: str) -> None:
    with pytest.raises(UserError) as error:
        validate(GOOD | {key: value}, SynthesizeParams, "params.yaml")
    assert str(error.value) == f"params.yaml: synthesize.{line}"

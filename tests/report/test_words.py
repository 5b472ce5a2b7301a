"""Values in words: told apart, and harmless."""

from __future__ import annotations

import math
from typing import Any

import pytest

from geocore.report.comparison import Difference, Missing
from geocore.report.words import bound_of, cells, counted, figures, plain, shown, signed


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("plain <b>words</b> [red]", "plain <b>words</b> [red]"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("user\u202egnp.exe", "user\\u202egnp.exe"),
        ("\x9b31m", "\\x9b31m"),
        ("\udcff", "\\udcff"),
        ("ß 漢 é", "ß 漢 é"),
    ],
)
def test_nothing_acts_on_the_reader(text: str, harmless: str) -> None:
    assert plain(text) == harmless


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("mlp", "mlp"),
        ("1", '"1"'),
        ("true", '"true"'),
        ("", '""'),
        (" x", '" x"'),
        ("nan", '"nan"'),
        (1, "1"),
        (1.0, "1.0"),
        (True, "true"),
        (None, "null"),
        ([2, "a"], '[2, "a"]'),
        (Missing.ABSENT, "absent"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_a_parameter_reads_as_in_the_file(value: Any, text: str) -> None:
    assert shown(value) == text


def test_numbers_in_as_few_digits_as_tell_them_apart() -> None:
    assert figures([0.98051, 0.98053]) == ["0.98051", "0.98053"]
    assert figures([0.98051, 0.99]) == ["0.9805", "0.99"]
    assert figures([0.5, 0.25]) == ["0.5", "0.25"]
    assert figures([359, 360.0]) == ["359", "360"]
    assert figures([1e-7, 1.9328557e-7]) == ["1e-07", "1.933e-07"]
    nearest = math.nextafter(0.1, 1)
    assert figures([0.1, nearest]) == ["0.10000000000000001", "0.10000000000000002"]
    assert figures([None, 0.5]) == ["null", "0.5"]
    assert figures([0.1, nearest], 7) == ["0.1", "0.1"]


def test_of_metrics_rounding_is_not_written_out() -> None:
    row = Difference("evaluate.nngp.test.ece", (0.0089791005695, 0.0089791005696))
    assert cells("metrics", row) == ["0.008979101", "0.008979101"]


def test_signs() -> None:
    assert [signed(d) for d in (0.012, -0.0031, 0.0, 5)] == ["+0.012", "-0.0031", "±0", "+5"]


def test_a_near_miss_is_not_rounded_onto_its_bound() -> None:
    gate = {"value": 0.9499999, "bound": 0.95, "sense": "min", "passed": False}
    assert cells("gates", Difference("g", (gate, Missing.ABSENT))) == ["0.9499999 fails", "absent"]
    assert bound_of(gate) == "at least 0.95"
    assert bound_of({"bound": 3, "sense": "max"}) == "at most 3"


def test_a_gate_without_a_value() -> None:
    gate = {"value": None, "bound": 0.95, "sense": "min", "passed": False}
    assert cells("gates", Difference("g", (gate,))) == ["null fails"]


def test_digests_as_long_as_they_must_be() -> None:
    assert cells("code", Difference("f", ("a" * 40, "b" * 40))) == ["a" * 7, "b" * 7]
    alike = ("0123456789a", "0123456789b")
    assert cells("data", Difference("f", alike)) == list(alike)
    assert cells("code", Difference("f", ("a" * 40, Missing.ABSENT))) == ["a" * 7, "absent"]


def test_counts() -> None:
    assert counted("params", 1) == "1 parameter"
    assert counted("code", 1) == "1 file of code"
    assert counted("data", 0) == "0 files of data"


def test_infinite_and_nan_are_words() -> None:
    assert figures([math.nan]) == ["NaN"]

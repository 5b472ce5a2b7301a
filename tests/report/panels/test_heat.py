"""Tables of heat: how warm an error is, how turns are named, in which order layers stand."""

from __future__ import annotations

import math

import pytest

from geocore.report.panels.equivariance_errors import Element, Errors
from geocore.report.panels.heat import by_element, heat, merged, named, turned


def test_heat_goes_by_decades_from_the_least_to_the_greatest() -> None:
    values = [1e-5, 1e-3, 1e-1]
    assert [heat(value, values) for value in values] == [0, 50, 100]
    assert [heat(value, values) for value in (0.0, -1.0, math.nan, math.inf)] == [0, 0, 0, 100]
    assert heat(1e-7, [1e-7, 2e-7]) == 0 and heat(2e-7, [1e-7, 2e-7]) < 10, "rounding is cold"
    assert heat(0.2, [0.2, 0.3]) > 90, "what is alike looks alike"


@pytest.mark.parametrize(
    ("angle", "same"), [(0, 0), (180, 180), (-180, 180), (270, -90), (-270, 90), (725, 5)]
)
def test_turns_lie_between_minus_and_plus_180(angle: float, same: float) -> None:
    assert turned(angle) == same


def test_elements_are_named_by_angle_or_number() -> None:
    assert named(Element(1, 270.0, {})) == "−90°"
    assert named(Element(3, None, {})) == "no. 3"


def test_a_table_of_very_many_elements_says_what_it_leaves_out() -> None:
    many = tuple(Element(n, None, {"a": 0.1}) for n in range(70))
    sheet = by_element(Errors(("a",), {}, {("z", "float32"): many}))
    assert sheet is not None and len(sheet.head) == len(sheet.rows[0][1]) == 64
    assert "the first 64 of 70" in sheet.label
    assert by_element(Errors(("a",))) is None


def test_layers_of_several_networks_keep_their_orders() -> None:
    stats = dict.fromkeys("abcdx")
    orders = ["abd", "abcd", "xd"]
    assert merged(orders, [stats] * 3) == ["x", "a", "b", "c", "d"]  # type: ignore[list-item]

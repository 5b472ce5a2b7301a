"""Cron expressions: what comes due passes, what never does is one line."""

from __future__ import annotations

import pytest

from geocore.pipeline.cron import cron_fault


@pytest.mark.parametrize(
    "expression",
    [
        "0 3 * * *", "*/15 0-6,22-2 * JAN-mar,12 fri-mon", "0 0 29 2 *", "0 0 31 4 mon",
        "0 0 l,5 2 *",
        "0 0 ? * mon#1,l5", "0 3 * * 7", "0 3 * * * 30", "  0  3 * * * ", "@daily", "5/10 3 * * *",
    ],
)  # fmt: skip
def test_what_comes_due(expression: str) -> None:
    assert cron_fault(expression) is None


@pytest.mark.parametrize(
    ("expression", "line"),
    [
        ("99 99 * * *", "minute is '99'; expected 0 to 59"),
        ("0 24 * * *", "hour is '24'; expected 0 to 23"),
        ("0 3 0 * *", "day is '0'; expected 1 to 31"),
        ("0 3 * 1,13 *", "month is '1,13'; expected 1 to 12"),
        ("0 3 * jna *", "month is 'jna'; expected 1 to 12"),
        ("0 3 * * 8", "weekday is '8'; expected 0 to 7"),
        ("0 3 * * mon#6", "weekday is 'mon#6'; expected 0 to 7"),
        ("0 3 * * * 60", "second is '60'; expected 0 to 59"),
        ("*/0 3 * * *", "minute is '*/0'; expected 0 to 59"),
        ("1, 3 * * *", "minute is '1,'; expected 0 to 59"),
        ("? 3 * * *", "minute is '?'; expected 0 to 59"),
        ("0 3-99 * * *", "hour is '3-99'; expected 0 to 23"),
        ("0 0 31 2,4 *", "'0 0 31 2,4 *' never comes; expected a day that its months have"),
    ],
)
def test_what_does_not(expression: str, line: str) -> None:
    assert cron_fault(expression) == line


@pytest.mark.parametrize("expression", ["", "0 3 * *", "* * * * * * *", "@reboot", "3 o'clock"])
def test_what_is_no_cron_expression(expression: str) -> None:
    assert cron_fault(expression) == (
        f"{expression!r}; expected five fields, like '0 3 * * *', or one of @hourly, @daily, "
        "@midnight, @weekly, @monthly, @yearly, @annually"
    )

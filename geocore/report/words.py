"""Values in as few words as tell them apart, and no character that could act on a reader."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from geocore.report.comparison import Difference, Missing

__all__ = ["bound_of", "cells", "counted", "figure", "figures", "plain", "shown", "signed"]

_METRIC = 7  # digits of a metric: what differs behind them is rounding, and the delta tells it
_LONGEST = 200  # characters of a value that a cell shows


def plain(text: str) -> str:
    """``text`` with control characters, bidirectional marks and lone surrogates escaped.

    Names and messages are other people's: one that moves a terminal's cursor or turns the
    reading direction round is shown as what it is.
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def shown(value: Any) -> str:
    """A parameter's value as ``params.yaml`` would have it, in one line."""
    if isinstance(value, Missing):
        return value.value
    if isinstance(value, str) and not _reads_otherwise(value):
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return plain(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


def _reads_otherwise(text: str) -> bool:
    """Whether bare text would be taken for a number, a null, a truth or nothing."""
    if text != text.strip() or text.lower() in ("", "~", "null", "true", "false"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def figure(value: Any) -> str:
    """A number in four digits, a count in all of them."""
    return figures([value])[0]


def figures(values: Sequence[Any], most: int = 17) -> list[str]:
    """Numbers in as few digits, at least four, as tell the different ones apart, or in ``most``."""
    numbers = {value for value in values if _is_number(value)}
    digits = next(
        (d for d in range(4, most) if len({_figure(n, d) for n in numbers}) == len(numbers)), most
    )
    return [_figure(value, digits) if _is_number(value) else shown(value) for value in values]


def _figure(number: float, digits: int) -> str:
    if isinstance(number, int) or (number == int(number) and abs(number) < 1e6):
        return str(int(number))
    return f"{number:.{digits}g}"


def _is_number(value: Any) -> bool:
    finite = isinstance(value, int | float) and math.isfinite(value)
    return finite and not isinstance(value, bool)


def signed(delta: float) -> str:
    """A difference with its sign, in three digits."""
    return "±0" if delta == 0 else f"{delta:+.3g}"


def bound_of(gate: Mapping[str, Any]) -> str:
    """What a gate allows, ``at least 0.95``."""
    words = {"min": "at least", "max": "at most"}.get(str(gate.get("sense")), "bound")
    return f"{words} {figure(gate.get('bound'))}"


def cells(section: str, row: Difference) -> list[str]:
    """The values of a row in words, one for each snapshot."""
    if section == "metrics":
        return figures(row.values, _METRIC)
    if section in ("code", "data"):
        return _digests(row.values)
    if section == "gates":
        # With the bounds among them, so that a near miss is not rounded onto its bound.
        bounds = [gate.get("bound") for gate in row.values if isinstance(gate, Mapping)]
        measured = figures([*(_measured(value) for value in row.values), *bounds])
        return [
            text if isinstance(value, Missing) else f"{text} {_held(value)}"
            for text, value in zip(measured, row.values, strict=False)
        ]
    return [shown(value) for value in row.values]


def _measured(gate: Any) -> Any:
    return gate if isinstance(gate, Missing) else gate.get("value")


def _held(gate: Mapping[str, Any]) -> str:
    return "holds" if gate["passed"] else "fails"


def _digests(values: Sequence[Any]) -> list[str]:
    """Beginnings of digests, as long as it takes to tell them apart."""
    digests = {value for value in values if isinstance(value, str)}
    length = next((n for n in range(7, 64) if len({d[:n] for d in digests}) == len(digests)), 64)
    return [plain(v[:length]) if isinstance(v, str) else shown(v) for v in values]


_PLURALS: dict[str, Callable[[int], str]] = {
    "params": lambda count: "parameter" if count == 1 else "parameters",
    "metrics": lambda count: "metric" if count == 1 else "metrics",
    "gates": lambda count: "gate" if count == 1 else "gates",
    "code": lambda count: "file of code" if count == 1 else "files of code",
    "data": lambda count: "file of data" if count == 1 else "files of data",
}


def counted(section: str, count: int) -> str:
    """``1 parameter``, ``12 metrics``, ``3 files of code``."""
    return f"{count} {_PLURALS[section](count)}"

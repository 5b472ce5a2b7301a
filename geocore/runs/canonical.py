"""One JSON text per value: sorted keys, finite numbers, nothing that does not come back equal."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

__all__ = ["canonical_json", "plain"]


def plain(value: Any, where: str = "") -> Any:
    """``value`` as JSON's own types: mappings become dicts, tuples become lists.

    Raises ``ValueError`` for NaN and infinities and ``TypeError`` for whatever JSON does not hold,
    both naming the place (``metrics.loss[3]``).
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where or 'the value'} is {float(value)}; JSON takes finite numbers")
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where or 'the value'} has the key {key!r}; JSON keys are str")
        return {key: plain(item, f"{where}.{key}" if where else key) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise TypeError(
        f"{where or 'the value'} is a {type(value).__name__}; JSON takes mappings, lists, str, "
        "int, float, bool and None"
    )


def canonical_json(value: Any, *, indent: int | None = None) -> str:
    """Equal values give equal text: keys sorted, floats by ``repr``, NaN and infinities refused."""
    return json.dumps(
        plain(value),
        sort_keys=True,
        indent=indent,
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":") if indent is None else (",", ": "),
    )

"""What an hls4ml design takes, from a table of designs that somebody has already built.

A column ``y`` of the table is ``sum_k c_k f_k``, ``c_k >= 0``, with features ``f`` that stand for
what is in the chip: with ``F`` filters, activations of ``A`` bits, weights of ``W`` and a reuse
factor ``R``, streams and control take ``1``, ``F`` and ``F A``; ``F^2 / R`` multipliers are there
at once, each of ``A W`` tables, or a DSP slice where ``A + W`` passes a width beyond which the
compiler takes one. The coefficients minimise the squared relative error (non-negative least
squares); the width is the one of the table's that fits best.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geocore.errors import UserError

__all__ = ["COLUMNS", "HlsDesign", "HlsError", "HlsModel", "fit_table", "published"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HlsDesign:
    """What is chosen: filters, clock, reuse factor, bits of weights, and of all else in all."""

    filters: int
    clock_ns: float
    reuse_factor: int
    weight_bits: int
    activation_bits: int

    def __post_init__(self) -> None:
        for name in _CHOSEN:
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value!r}; expected a number above 0")


_CHOSEN = ("filters", "clock_ns", "reuse_factor", "weight_bits", "activation_bits")


@dataclass(frozen=True)
class HlsError:
    """Mean absolute relative errors of rows that were left out: one by one, by cells, by filters.

    A cell holds all rows of equal filters and bits. ``left_filters``, where all rows of a number of
    filters are left out, is what to expect beyond the table; not a number with one number alone.
    ``largest`` is of rows one by one. Relative to 1 where the figure is less: percents are whole.
    """

    rows: int
    left_one: float
    left_cell: float
    left_filters: float
    largest: float


@dataclass(frozen=True)
class HlsModel:
    """Coefficients and errors by column; ``width`` of ``A + W`` beyond which products take DSPs.

    ``narrow`` are the least bits of activations of the table, ``ranges`` the least and the largest
    of each choice in it.
    """

    coefficients: Mapping[str, Mapping[str, float]]
    errors: Mapping[str, HlsError]
    width: int
    narrow: int
    ranges: Mapping[str, tuple[float, float]]

    def predict(self, design: HlsDesign) -> dict[str, float]:
        """Each column's figure, in the table's own units.

        Raises ``UserError`` for a choice outside those of the table: nothing is known there.
        """
        for name, (low, high) in self.ranges.items():
            value = getattr(design, name)
            if not low <= value <= high:
                raise UserError(
                    f"{name} is {value:g}; expected {low:g} to {high:g}, which the table covers"
                )
        return {
            column: sum(c * _FEATURES[name](design, self) for name, c in terms.items())
            for column, terms in self.coefficients.items()
        }


def _fast(design: HlsDesign, model: HlsModel) -> float:
    """1 where products are made of tables."""
    return float(design.activation_bits + design.weight_bits <= model.width)


def _reuse(design: HlsDesign) -> int:
    """The reuse factor that a 3x3 convolution gets: the divisor of its fan-in nearest by."""
    fan_in = 9 * design.filters
    divisors = [n for n in range(1, fan_in + 1) if fan_in % n == 0]
    return min(divisors, key=lambda n: (abs(n - design.reuse_factor), n))


_FEATURES: dict[str, Callable[[HlsDesign, HlsModel], float]] = {
    "1": lambda d, m: 1.0,
    "F": lambda d, m: d.filters,
    "A": lambda d, m: d.activation_bits,
    "F A": lambda d, m: d.filters * d.activation_bits,
    "F W": lambda d, m: d.filters * d.weight_bits,
    # More stages of registers where the clock is fast.
    "F / clock": lambda d, m: d.filters / d.clock_ns,
    "F^2 A W / R": lambda d, m: (
        _fast(d, m) * d.filters**2 * d.activation_bits * d.weight_bits / d.reuse_factor
    ),
    "F^2 / R in DSP": lambda d, m: (1 - _fast(d, m)) * d.filters**2 / d.reuse_factor,
    "F in DSP": lambda d, m: (1 - _fast(d, m)) * d.filters,
    "F wide": lambda d, m: d.filters * (d.activation_bits > m.narrow),
    "reuse": lambda d, m: _reuse(d),
    "reuse^2": lambda d, m: _reuse(d) ** 2,
}
COLUMNS = {
    "lut_percent": ("1", "F", "F A", "F^2 A W / R"),
    "ff_percent": ("1", "F", "A", "F A", "F / clock"),
    "ramb36_percent": ("1", "F", "A", "F A"),
    "ramb18_percent": ("1", "F", "F A", "F W", "reuse"),
    "dsp_percent": ("F^2 / R in DSP", "F in DSP", "F wide"),
    "latency_cycles": ("1", "reuse", "reuse^2"),
}


def fit_table(path: Path) -> HlsModel:
    """A model of the table in ``path``, and its errors by cross-validation.

    A CSV file with columns ``filters``, ``clock_ns``, ``reuse_factor``, ``weight_bits``,
    ``default_precision`` (``"bits,integer bits"``) and those of ``COLUMNS``, of which some may be
    missing; a field is empty where the flow failed, and its row is then left out for that column.
    Raises ``UserError`` for a file that is not such a table, or has fewer than 8 rows of a column.
    """
    designs, columns = _read(path)
    narrow = min(design.activation_bits for design in designs)
    ranges = {
        name: (min(values), max(values))
        for name in _CHOSEN
        for values in [[float(getattr(design, name)) for design in designs]]
    }
    widths = sorted({design.activation_bits + design.weight_bits for design in designs})

    def model(width: int) -> HlsModel:
        return HlsModel({}, {}, width, narrow, ranges)

    def fitted(column: str, kept: Sequence[int], given: HlsModel) -> Array:
        return _fit(_matrix([designs[n] for n in kept], column, given), columns[column][kept])

    found = [n for n, value in enumerate(columns["lut_percent"]) if math.isfinite(value)]

    def best(kept: Sequence[int]) -> HlsModel:
        """With the width at which the tables of look-up of these rows are told best."""

        def misfit(width: int) -> float:
            given = model(width)
            rows = [designs[n] for n in kept if n in found]
            values = columns["lut_percent"][[n for n in kept if n in found]]
            matrix = _matrix(rows, "lut_percent", given)
            return float((_relative(matrix @ _fit(matrix, values), values) ** 2).sum())

        return model(min(widths, key=misfit))

    whole = best(range(len(designs)))
    coefficients: dict[str, dict[str, float]] = {}
    errors: dict[str, HlsError] = {}
    groups: tuple[list[Hashable], ...] = (
        list(range(len(designs))),
        [(d.filters, d.activation_bits, d.weight_bits) for d in designs],
        [d.filters for d in designs],
    )
    for column, values in columns.items():
        kept = [n for n, value in enumerate(values) if math.isfinite(value)]
        terms = fitted(column, kept, whole)
        coefficients[column] = dict(zip(COLUMNS[column], terms.tolist(), strict=True))
        left: list[list[float]] = []
        for keys in groups:
            off: list[float] = []
            for key in dict.fromkeys(keys[n] for n in kept):
                rest = [n for n in kept if keys[n] != key]
                out = [n for n in kept if keys[n] == key]
                if not rest:
                    off.append(math.nan)
                    continue
                given = best(rest)
                guess = _matrix([designs[n] for n in out], column, given) @ fitted(
                    column, rest, given
                )
                off += np.abs(_relative(guess, values[out])).tolist()
            left.append(off)
        one, cell, filters = (float(np.mean(off)) for off in left)
        errors[column] = HlsError(len(kept), one, cell, filters, float(np.max(left[0])))
    return HlsModel(coefficients, errors, whole.width, narrow, ranges)


def published() -> HlsModel:
    """The model of the published compressed ENet on a ZCU102 (arXiv:2205.07690): 72 runs.

    Vivado 2020.1 HLS and place and route; 4 or 8 filters at 152 x 240 pixels. Figures are percents
    of an XCZU9EG, and cycles a frame.
    """
    return _PUBLISHED


def _relative(guess: Array, values: Array) -> Array:
    return (guess - values) / np.maximum(values, 1.0)


def _matrix(designs: Sequence[HlsDesign], column: str, model: HlsModel) -> Array:
    names = COLUMNS[column]
    rows = [[_FEATURES[name](design, model) for name in names] for design in designs]
    return np.array(rows, dtype=np.float64).reshape(len(designs), len(names))


def _fit(matrix: Array, values: Array) -> Array:
    from scipy.optimize import nnls

    scale = np.maximum(values, 1.0)
    return np.asarray(nnls(matrix / scale[:, None], values / scale)[0], dtype=np.float64)


def _read(path: Path) -> tuple[list[HlsDesign], dict[str, Array]]:
    if not path.is_file():
        raise UserError(f"{path}: is not there; expected a table of hls4ml designs")
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        lines = list(reader)
        names = reader.fieldnames or []
    needed = ("filters", "clock_ns", "reuse_factor", "weight_bits", "default_precision")
    for name in (*needed, "lut_percent"):
        if name not in names:
            raise UserError(f"{path}: has no column {name}; expected {', '.join(needed)} and more")
    designs = []
    columns: dict[str, list[float]] = {name: [] for name in COLUMNS if name in names}
    for number, line in enumerate(lines, 2):
        try:
            designs.append(
                HlsDesign(
                    int(line["filters"]),
                    float(line["clock_ns"]),
                    int(line["reuse_factor"]),
                    int(line["weight_bits"]),
                    int(line["default_precision"].split(",")[0]),
                )
            )
            for name, values in columns.items():
                values.append(float(line[name]) if line[name] else math.nan)
        except (ValueError, TypeError) as error:
            raise UserError(f"{path}: line {number}: {error}; expected numbers") from None
    found = {name: np.array(values) for name, values in columns.items()}
    for name, array in found.items():
        if (count := int(np.isfinite(array).sum())) < 8:
            raise UserError(f"{path}: {name} has {count} figures; expected 8 or more")
    return designs, found


# What `fit_table` gives of the table of the paper's runs, to five digits.
_PUBLISHED = HlsModel(
    coefficients={
        "lut_percent": {"1": 11.921, "F": 1.0915, "F A": 0.21124, "F^2 A W / R": 0.076424},
        "ff_percent": {
            "1": 3.8805,
            "F": 0.033866,
            "A": 0.21828,
            "F A": 0.13023,
            "F / clock": 2.8628,
        },
        "ramb36_percent": {"1": 0.0, "F": 0.16132, "A": 1.1849, "F A": 0.43828},
        "ramb18_percent": {"1": 0.0, "F": 0.0, "F A": 0.12045, "F W": 0.016403, "reuse": 0.030946},
        "dsp_percent": {"F^2 / R in DSP": 8.5951, "F in DSP": 0.50802, "F wide": 1.8584},
        "latency_cycles": {"1": 1405400.0, "reuse": 0.0, "reuse^2": 4129.7},
    },
    errors={
        "lut_percent": HlsError(70, 0.0242, 0.0302, 0.2303, 0.1068),
        "ff_percent": HlsError(70, 0.0270, 0.0302, 0.2649, 0.1037),
        "ramb36_percent": HlsError(70, 0.0315, 0.0308, 0.2221, 0.0552),
        "ramb18_percent": HlsError(70, 0.1027, 0.1084, 0.1149, 0.3460),
        "dsp_percent": HlsError(70, 0.0320, 0.0629, 0.0629, 0.1523),
        "latency_cycles": HlsError(72, 0.1987, 0.2019, 0.2469, 0.2913),
    },
    width=20,
    narrow=8,
    ranges={
        "filters": (4.0, 8.0),
        "clock_ns": (5.0, 10.0),
        "reuse_factor": (2.0, 100.0),
        "weight_bits": (4.0, 8.0),
        "activation_bits": (8.0, 16.0),
    },
)

"""The spheres of several runs side by side: a piece of a page, and the maps that it draws."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from geocore.report.programs import script_json
from geocore.report.rendering import render
from geocore.report.sphere_file import UNKNOWN, Spheres, SphereSample, Turned, read_spheres
from geocore.report.sphere_inputs import scenes

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["sphere_panel"]

Array = npt.NDArray[Any]

_BUDGET = 6_000_000  # characters of maps and numbers; what goes beyond it is left out
_TOO_LARGE = "its spheres are left out: the page would be too large."
_LEVELS, _FINE, _FEW = 254, 65_534, 15  # steps of a map, of depths, and of how far two are apart


@dataclass(frozen=True)
class _Figure:
    """A place for a sphere: what it shows, its name, and the formula's markup or words under it."""

    what: str
    about: str


@dataclass(frozen=True)
class _Row:
    """A run's rows on the page."""

    index: int
    name: str
    about: str
    seen: tuple[_Figure, ...]
    turned: tuple[_Figure, ...]


def sphere_panel(runs: Sequence[tuple[str, bytes]]) -> Markup:
    """The panel of the runs' spheres, ``''`` where none has any.

    ``runs`` are a name and the bytes of ``results/spheres/maps.arrow`` each, in the order of the
    page's runs; empty bytes stand for a run without. A file that is damaged is told in a line.
    Equal maps stand in the page once. Of more than 6 MB the last samples are left out, and runs
    whose first sample has no room beside those before them; both is said. Raises ``UserError`` if
    Jinja2 is not installed.
    """
    from markupsafe import Markup  # comes with Jinja2, which is an extra

    found: list[tuple[int, str, Spheres]] = []
    faults: list[tuple[int, str, str]] = []
    for index, (name, content) in enumerate(runs):
        if not content:
            continue
        try:
            found.append((index, name, read_spheres(content)))
        except ValueError as error:
            faults.append((index, name, str(error)))
    if not found and not faults:
        return Markup("")
    maps = _Maps()
    data, left_out = _data(found, maps)
    shown = {run["run"] for run in data["runs"]}
    faults += [(index, name, _TOO_LARGE) for index, name, _ in found if index not in shown]
    found = [one for one in found if one[0] in shown]
    html = render(
        "spheres.html.jinja",
        rows=[_row(*one) for one in found],
        faults=sorted(faults),
        samples=data["samples"],
        left_out=left_out,
        sphere_data=Markup(_json(data, maps.texts)),
    )
    return Markup(html)


class _Maps:
    """Compressed maps by number: equal ones have one. ``size`` is in characters."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[bytes, int] = {}
        self.size = 0

    def add(self, values: Array) -> int:
        """The number of a map of uint8 or of little-endian uint16."""
        raw = values.tobytes()
        digest = hashlib.sha256(raw).digest()
        if digest not in self._numbers:
            text = base64.b64encode(zlib.compress(raw, 6)).decode("ascii")
            self._numbers[digest] = len(self.texts)
            self.texts.append(text)
            self.size += len(text)
        return self._numbers[digest]

    def back_to(self, count: int, size: int) -> None:
        """Forget the maps from number ``count`` on; without them it was of that ``size``."""
        self._numbers = {raw: number for raw, number in self._numbers.items() if number < count}
        del self.texts[count:]
        self.size = size


def _data(found: Sequence[tuple[int, str, Spheres]], maps: _Maps) -> tuple[dict[str, Any], int]:
    """What the page's program reads, and how many samples were left out.

    Of the first sample a run is left out that has no room beside those before it; a later sample
    is there for all runs that have it, or with all after it for none.
    """
    shown = {index: (spheres, _by_sample(spheres)) for index, _, spheres in found}
    kept: list[tuple[int, str]] = []
    told: dict[int, list[Any]] = {index: [] for index in shown}
    for of in dict.fromkeys(of for _, by_sample in shown.values() for of in by_sample):
        begun = len(maps.texts), maps.size
        entries: dict[int, dict[str, Any]] = {}
        for index, (spheres, by_sample) in list(shown.items()):
            if of not in by_sample:
                continue
            before = len(maps.texts), maps.size
            entries[index] = _sample(spheres, by_sample[of], maps)
            maps.size += len(json.dumps(entries[index]))
            if maps.size > _BUDGET and not kept:
                maps.back_to(*before)
                del entries[index], shown[index]
        if maps.size > _BUDGET:
            maps.back_to(*begun)
            break
        if not entries:
            continue  # it was of runs that are left out
        kept.append(of)
        seen = [(spheres, by_sample.get(of)) for spheres, by_sample in shown.values()]
        for index, scene in zip(shown, scenes(seen), strict=True):
            told[index].append({**entries[index], "scene": scene} if index in entries else None)
    left = {of for _, by_sample in shown.values() for of in by_sample} - {*kept}
    data = {
        "samples": [f"{sample}, {view}" if view else f"{sample}" for sample, view in kept],
        "runs": [
            {
                "run": index,
                "name": name,
                "task": spheres.task,
                "nside": spheres.nside,
                "faces": list(spheres.faces),
                "classes": list(spheres.classes),
                "colours": list(spheres.colours),
                "samples": told[index],
            }
            for index, name, spheres in found
            if index in shown
        ],
    }
    return data, len(left)


def _by_sample(spheres: Spheres) -> dict[tuple[int, str], SphereSample]:
    """Its samples by number and view; of equal ones the first."""
    found: dict[tuple[int, str], SphereSample] = {}
    for one in spheres.samples:
        found.setdefault((one.sample, one.view), one)
    return found


def _json(data: Mapping[str, Any], maps: Sequence[str]) -> str:
    """``data`` and ``maps`` as one object; base64 needs no escaping, and there are megabytes."""
    return f'{script_json(data)[:-1]},"maps":{json.dumps(maps)}}}'


def _sample(spheres: Spheres, one: SphereSample, maps: _Maps) -> dict[str, Any]:
    dense = spheres.task != "classification"
    entry: dict[str, Any] = {
        "input": _input(one.input, maps),
        "spectra": {name: [_short(c) for c in found] for name, found in one.spectra.items()},
        "turns": [_turn(spheres, turn, maps) for turn in one.turns],
    }
    if not dense:
        sure = None if one.uncertainty is None else _short(one.uncertainty[0])
        label = None if one.label[0] == UNKNOWN else int(one.label[0])
        return {**entry, "label": label, "prediction": _list(one.prediction), "uncertainty": sure}
    most = float(np.log(len(spheres.classes))) if spheres.classes else None
    unsure = None if one.uncertainty is None else _values(one.uncertainty, maps, 0.0, most)
    said = {name: _said(values, maps) for name, values in
            (("label", one.label), ("prediction", one.prediction))}  # fmt: skip
    return {**entry, **said, "uncertainty": unsure}


def _turn(spheres: Spheres, turn: Turned, maps: _Maps) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "angle": turn.angle,
        "axis": spheres.axis,
        "exact": turn.exact,
        "error": _short(turn.error),
    }
    if spheres.task == "classification":
        return {**entry, "found": _list(turn.found)}
    apart = _values(turn.difference, maps, 0.0, steps=_FEW)
    return {**entry, "found": _said(turn.found, maps), "difference": apart}


def _said(values: Array, maps: _Maps) -> dict[str, Any]:
    """A map of codes, or of the logarithms of metres."""
    if values.dtype == np.uint8:
        return {"map": maps.add(values)}
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms = np.where(values > 0, np.log(values), np.nan)
    return {**_values(logarithms, maps, steps=_FINE), "log": True}


def _input(values: Array, maps: _Maps) -> dict[str, Any]:
    """Three channels as they are, of others the first; 8-bit images span 0 to their full level."""
    shown = values if values.shape[1] == 3 else values[:, :1]
    known = shown[np.isfinite(shown)]
    full = known.size and known.min() >= 0 and known.max() <= 1
    limits = (0.0, 1.0) if full else (None, None)
    return {**_values(shown, maps, *limits), "channels": shown.shape[1]}


def _values(
    values: Array,
    maps: _Maps,
    low: float | None = None,
    high: float | None = None,
    steps: int = _LEVELS,
) -> dict[str, Any]:
    """Numbers in ``steps`` from ``low`` to ``high``, by default their own range; the code above
    all steps that the type has stands for what is not known.
    """
    known = np.isfinite(values)
    found = values[known].astype(np.float64)
    low = float(found.min()) if low is None and found.size else low or 0.0
    high = float(found.max()) if high is None and found.size else high or 0.0
    kind, none = (np.dtype("<u2"), 65_535) if steps > _LEVELS else (np.dtype("u1"), 255)
    place = (np.where(known, values, low) - low) / max(high - low, 1e-30)
    codes = np.where(known, np.rint(np.clip(place, 0, 1) * steps), none).astype(kind)
    return {"map": maps.add(codes), "low": _short(low), "high": _short(high), "steps": steps}


def _row(index: int, name: str, spheres: Spheres) -> _Row:
    part = f"; {100 * spheres.sky:.3g} % of the sphere seen" if spheres.sky < 1 else ""
    seen: tuple[_Figure, ...]
    turned: tuple[_Figure, ...]
    if spheres.task == "classification":
        seen = (_Figure("input", "input"),)
        turned = (_Figure("turned-input", "Rx"),)
    else:
        unsure = any(one.uncertainty is not None for one in spheres.samples)
        seen = (
            _Figure("input", "input"), _Figure("label", "label"),
            _Figure("prediction", "prediction"),
            *([_Figure("uncertainty", "uncertainty")] if unsure else []),
            _Figure("difference", "difference"),
        )  # fmt: skip
        turned = (
            _Figure("turned", "f(Rx)"), _Figure("acted", "R f(x)"), _Figure("apart", "apart"),
        )  # fmt: skip
    about = f"{spheres.source}{part}"
    return _Row(index, name, about, seen, turned)


def _list(values: Array) -> list[float | None]:
    return [_short(value) for value in values]


def _short(number: float) -> float | None:
    """Four digits; None for what is no number."""
    return float(f"{number:.4g}") if np.isfinite(number) else None

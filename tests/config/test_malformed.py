"""Whatever stands wrong in ``params.yaml``, and wherever: one line a fault, in plain words.

Every section of every ``params.yaml`` here is taken, each value in it replaced by wrong ones, each
key left out, misspelt and added to, each list made too short and too long.
"""

from __future__ import annotations

import copy
import datetime
import importlib
import json
import math
import pkgutil
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import geocore.config
from geocore.config.load import read_yaml, validate
from geocore.config.section import Section
from geocore.errors import UserError

ROOT = Path(__file__).parents[2]
LONG = "x" * 10**4
LONGEST = 330  # characters of a line, the longest key and value in it

# What a user who does not know the code should never read: pydantic's words, and Python's.
FOREIGN = re.compile(
    r"Input should|value_error|Value error|type=|[Pp]ydantic|validat|Error\b|literal\[|function-|"
    r"constrained|\b(None|True|False|NoneType|int|str|float|bool|dict|tuple|set\(|datetime|bytes)\b"
    r"|Params\b|Mapping\b|\bb'|another value|\(\d+, "
)
LINE = re.compile(
    r"^params\.yaml: (?P<name>\S+) (?P<found>.+?); (expected|did you mean) (?P<rest>.+)$"
)

# Sections with more in them than any file here has.
VARIANT = {
    "name": "other", "weight_bits": "ternary", "activation_bits": 4, "sparsity": 0.5,
    "layer_bits": [["dense", "binary", 4], ["last", 3, 4]], "filter_error": 0.1,
    "search_rise": 0.1, "ways": ["verilog"], "multipliers": "dsp",
}  # fmt: skip
MORE: dict[str, dict[str, Any]] = {
    "synthesize": {
        "layer_bits": [["dense", 6, 8], ["last", "ternary", 4]], "dense_cycles": 8,
        "reuse_factors": [["dense", 4], ["last", 2]], "variants": [VARIANT, {"name": "same"}],
        "ways": ["hls4ml", "verilog"],
    },
    "evaluate": {"invalid_classes": ["sky", "void"]},
    "project": {"views": ["none", "so3"]},
}  # fmt: skip
FULL: list[dict[str, dict[str, Any]]] = [
    {"data": {"source": "woodscape", "path": "data/own", "camera": "FV", "classes": "road"}},
]

Place = tuple[str | int, ...]


def classes() -> dict[str, type[Section]]:
    """The section of each title that ``of`` is asked of."""
    found: dict[str, type[Section]] = {}
    for module in pkgutil.iter_modules(geocore.config.__path__):
        for value in vars(importlib.import_module(f"geocore.config.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Section) and hasattr(value, "title"):
                known = found.get(value.title)
                found[value.title] = known if known and issubclass(value, known) else value
    return found


CLASSES = classes()


def sections() -> Iterator[tuple[str, type[Section], dict[str, Any]]]:
    """Sections to spoil: of each class as many as have a key that is null or full nowhere else."""
    seen: set[tuple[type[Section], str, bool]] = set()
    root = read_yaml(ROOT / "params.yaml")
    files = [{title: root[title] | more for title, more in MORE.items()}, root]
    files += [read_yaml(file) for file in sorted((ROOT / "studies").rglob("params.yaml"))]
    files += [{title: root[title] | more for title, more in file.items()} for file in FULL]
    for file in files:
        for title, raw in file.items():
            kind = CLASSES[title].of(raw)
            forms = {(kind, key, value in (None, [])) for key, value in raw.items()}
            if forms - seen:
                seen |= forms
                yield f"{kind.__name__}-{len(seen)}", kind, raw


SECTIONS = list(sections())
each_section = pytest.mark.parametrize(
    ("kind", "raw"), [one[1:] for one in SECTIONS], ids=[one[0] for one in SECTIONS]
)


def places(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Each value of a section with the keys and places that lead to it, whole lists among them."""
    if place:
        yield place, value
    inner: Any = value.items() if isinstance(value, dict) else ()
    for step, entry in enumerate(value) if isinstance(value, list | tuple) else inner:
        yield from places(entry, (*place, step))


def with_value(raw: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(raw)
    inner: Any = changed
    for step in place[:-1]:
        inner = inner[step]
    if value is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return changed


def named(kind: type[Section], place: Place) -> str:
    return kind.title + "".join(f"[{n}]" if isinstance(n, int) else f".{n}" for n in place)


def told(kind: type[Section], raw: dict[str, Any]) -> tuple[str, ...]:
    """The lines about a section, none if it is taken; each is checked for what holds of all."""
    try:
        validate(raw, CLASSES[kind.title], "params.yaml")
    except UserError as error:
        for line in error.lines:
            assert LINE.match(line), line
            assert not FOREIGN.search(line), line
            assert len(line) <= LONGEST and line.isprintable(), line
        assert len(set(error.lines)) == len(error.lines)
        return error.lines
    return ()


def of_another_type(good: Any) -> list[Any]:
    """Values of a type that cannot stand where ``good`` stands; a string may be a choice's."""
    odd: list[Any] = [{}, {"a": 1}, math.nan, -math.inf, b"ab", {"one"}, datetime.date(2020, 1, 2)]
    if isinstance(good, dict):
        return [3, "text", LONG, [], True, None, *odd[2:]]  # a mapping has lines for its keys
    if isinstance(good, list):
        return [3, "text", LONG, True, *odd]
    if isinstance(good, bool):
        return [3, "true", LONG, [], None, *odd]
    if isinstance(good, int | float):
        return ["", "text", LONG, [], [[1]], True, *odd]
    return [True, *odd] if good is None else [[], [LONG], True, *odd]  # null may be a list's


def as_found(value: Any) -> str:
    """How a line begins to repeat a value."""
    if isinstance(value, float):
        return str(value)
    words = {bytes: "binary data", set: "a set", datetime.date: "a date"}
    return words.get(type(value)) or json.dumps(value)[:80]


@each_section
def test_a_value_of_another_type(kind: type[Section], raw: dict[str, Any]) -> None:
    assert told(kind, raw) == ()
    for place, good in places(raw):
        for value in of_another_type(good):
            lines = told(kind, with_value(raw, place, value))
            (line,) = lines
            assert line.startswith(f"params.yaml: {named(kind, place)} is {as_found(value)}"), line


@each_section
def test_a_number_out_of_range(kind: type[Section], raw: dict[str, Any]) -> None:
    for place, good in places(raw):
        if isinstance(good, bool) or not isinstance(good, int | float):
            continue
        for value in (-(10**30), 10**30, 10**400, 1e300, -1e300, 5e-324, -1, 0, 0.5):
            changed = with_value(raw, place, value)
            lines = told(kind, changed)
            if not lines:
                section = validate(changed, CLASSES[kind.title], "params.yaml")
                numbers = [one for _, one in places(section.model_dump(mode="python"))]
                assert all(math.isfinite(one) for one in numbers if isinstance(one, float))
                continue
            (line,) = lines
            # Of another key or of the list, where that is what it does not go with.
            where = LINE.match(line)
            assert where and re.match(r"\w+\.\w+(\[\d+\])*", where["name"]), line
            if abs(value) > 10**20:
                start = f"params.yaml: {named(kind, place)} is {as_found(value)}"
                assert line.startswith(start) and re.search(r"\d|one of", where["rest"]), line


BEYOND = {"minimum": [-1], "exclusiveMinimum": [-1, 0], "maximum": [1], "exclusiveMaximum": [1, 0]}


def bounds(about: Mapping[str, Any]) -> list[tuple[str, float]]:
    inner = [bound for option in about.get("anyOf", ()) for bound in bounds(option)]
    return inner + [(name, about[name]) for name in BEYOND if name in about]


def refused_numbers(kind: type[Section]) -> Iterator[tuple[str, Mapping[str, Any], float]]:
    """Each key that has bounds, what the schema says of it, and numbers on their refused side."""
    for key, about in kind.model_json_schema()["properties"].items():
        for name, bound in bounds(about):
            for step in BEYOND[name]:
                yield key, about, bound + step


@each_section
def test_a_bound_is_named(kind: type[Section], raw: dict[str, Any]) -> None:
    for key, about, value in refused_numbers(kind):
        (line,) = told(kind, raw | {key: value})
        start = f"params.yaml: {kind.title}.{key} is {value}; expected "
        assert line.startswith(start) and re.search(r"\ban? (integer|number) ", line), line
        assert all(f" {one:g}" in line or f" {one}" in line for _, one in bounds(about)), line


def test_many_bounds_are_named() -> None:
    checked = [str(about) for _, kind, _ in SECTIONS for _, about, _ in refused_numbers(kind)]
    assert len(checked) > 800 and sum("'number'" in about for about in checked) > 300


@each_section
def test_lists_too_short_too_long_and_of_nothing(kind: type[Section], raw: dict[str, Any]) -> None:
    for place, good in places(raw):
        if not isinstance(good, list):
            continue
        lists: list[list[Any]] = [[], good[:-1], good + good[-1:], good * 40]
        for value in [*lists, [*good, None], [*good, {}]]:
            lines = told(kind, with_value(raw, place, value))
            if value[-1:] in ([None], [{}]):
                assert f"params.yaml: {named(kind, place)}[{len(good)}]" in lines[0] or (
                    lines[0].startswith(f"params.yaml: {named(kind, place)} is ")
                ), lines
            assert len(lines) <= 1, lines
            if len(place) > 1:  # a pair, or a list of a variant, which may not go with another
                assert not lines or f"{named(kind, place[:-1])}" in lines[0], lines


@each_section
def test_keys_left_out_misspelt_and_added(kind: type[Section], raw: dict[str, Any]) -> None:
    mappings = [((), raw), *((p, value) for p, value in places(raw) if isinstance(value, dict))]
    for place, mapping in mappings:
        for key in mapping:
            name = named(kind, (*place, key))
            for line in told(kind, with_value(raw, (*place, key), ...)):
                if f" {name} is missing; expected " not in line:
                    assert place or kind is not CLASSES[kind.title].of(raw), line
            (*_, line) = told(kind, with_value(raw, (*place, f"{key}x"), mapping[key]))
            assert f" {name}x is an unknown key; did you mean " in line, line
        others: list[Any] = [3, math.nan, LONG, {}, [[{"one"}]]]
        for value in others:
            (line,) = told(kind, with_value(raw, (*place, "Q" * 9), value))
            assert f" {named(kind, place)}.QQQQQQQQQ is an unknown key; expected one of " in line
        (line,) = told(kind, with_value(raw, (*place, LONG.upper()), 3))
        assert f" {named(kind, place)}.XXX" in line and "X... is an unknown key; " in line


def test_a_line_for_each_fault_and_no_more() -> None:
    kind, raw = next((kind, raw) for _, kind, raw in SECTIONS if kind.title == "synthesize")
    bits = "expected an integer at least 2 and at most 16"
    faulty = {
        "layer_bits": [["dense", 1, 99], ["last", 6]],
        "lr": math.inf,
        "reuse_factors": [["dense", 0], ["last"], [3, 4], 5],
        "variants": [{"nme": "x", "sparsity": 1, "layer_bits": [["dense", True, 4]]}],
    }
    assert [line.removeprefix("params.yaml: synthesize.") for line in told(kind, raw | faulty)] == [
        f"layer_bits[0][1] is 1; {bits}, or one of binary, ternary",
        f"layer_bits[0][2] is 99; {bits}",
        'layer_bits[1] is ["last", 6]; expected [layer, bits of its weights, bits of what it gives '
        "on], as [dense, 6, 8]",
        "variants[0].name is missing; expected 1 to 32 lower-case letters, digits and _, a letter "
        "first",
        f"variants[0].layer_bits[0][1] is true; {bits}, or one of binary, ternary",
        "variants[0].sparsity is 1; expected a number at least 0 and below 1 or null",
        "variants[0].nme is an unknown key; did you mean synthesize.variants[0].name?",
        "reuse_factors[0][1] is 0; expected an integer at least 1 and at most 65536",
        'reuse_factors[1] is ["last"]; expected [layer, factor], as [dense, 4]',
        "reuse_factors[2][0] is 3; expected a string",
        "reuse_factors[3] is 5; expected [layer, factor], as [dense, 4]",
        "lr is inf; expected a finite number above 0 and at most 10",
    ]

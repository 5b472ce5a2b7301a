"""``params.yaml`` -> frozen sections, with errors in one line each."""

from __future__ import annotations

import difflib
import re
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from geocore.config.foreign_json import Place, as_json, as_key, is_long, shown
from geocore.config.section import Section, about, expected
from geocore.errors import UserError

__all__ = ["leaves", "parse_yaml", "read_sections", "read_yaml", "tracked_leaves", "validate"]

_LONGEST = 40  # characters of a key that a line repeats
_LONGEST_WORDS = 200  # characters of known keys, or of the parser's own words
_MOST_LINES = 10  # about entries of one key, or about unknown ones of a section
_MOST_VALUES = 10**6  # of a file, each alias as what it stands for
_SHALLOW = 1000  # levels of nesting that libyaml certainly stands
_TAGS = "tag:yaml.org,2002:"
_READ_AS = {"int": "an integer", "float": "a number", "timestamp": "a date"}
# What PyYAML meets in a value that its tag does not allow: !!int x, !!timestamp x.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class _Loader(yaml.SafeLoader):
    """YAML 1.2 and no duplicate keys, as DVC reads the file: 1e-3 is a number, 010 is ten."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                problem = "a list or mapping stands as a key"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            if key in seen:
                problem = f"key '{_cut(key)}' stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        mapping: dict[Any, Any] = yaml.SafeLoader.construct_mapping(self, node, deep)
        return mapping

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Says which value it is that does not go into the type of its tag: ``!!int x``."""
        try:
            return super().construct_object(node, deep)
        except _UNREADABLE:
            tag = node.tag.removeprefix(_TAGS)
            problem = f"{shown(node.value)} cannot be read as {_READ_AS.get(tag, f'!!{tag}')}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

    def construct_integer(self, node: yaml.ScalarNode) -> int:
        """0b, 0o and 0x say the base; a leading zero does not."""
        text = str(self.construct_scalar(node)).replace("_", "")
        return int(text, 0 if text.lstrip("+-")[:2] in ("0b", "0o", "0x") else 10)


_Loader.yaml_implicit_resolvers = {}  # those of YAML 1.1 go, and these come
for _kind, _pattern, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", "[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9][0-9_]*([eE][-+][0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", "<<", "<"),
):
    _Loader.add_implicit_resolver(f"{_TAGS}{_kind}", re.compile(f"^({_pattern})$"), list(_first))
_Loader.add_constructor(f"{_TAGS}int", _Loader.construct_integer)


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml's parser under the rules of ``_Loader``, where it is there: ten times as fast."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers
    yaml_constructors = _Loader.yaml_constructors
    construct_mapping = _Loader.construct_mapping


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds; a broken or missing file is a one-line ``UserError``."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path.name}: no such file in {path.parent}; expected it there") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path.name}: byte {error.start} is not UTF-8; expected text") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; expected a file to read") from None
    return parse_yaml(text, path.name)


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """The mapping that YAML text holds; ``where`` is what a one-line ``UserError`` calls it."""
    try:
        value = _parsed(text)
        _refuse_expansion(value, where)
    except RecursionError:
        raise UserError(f"{where}: nested too deeply; expected a mapping of keys") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        problem = problem if len(problem) <= _LONGEST_WORDS else f"{problem[:_LONGEST_WORDS]}..."
        raise UserError(f"{where}{line}: {problem}; expected valid YAML") from None
    except _UNREADABLE:
        raise UserError(f"{where}: holds what cannot be read; expected valid YAML") from None
    if not isinstance(value, dict):
        found = "is empty" if value is None else f"holds {shown(value)}"
        raise UserError(f"{where}: {found}; expected a mapping of keys")
    return value


def _parsed(text: str) -> Any:
    # libyaml overflows the stack on what is nested thousands deep, where Python raises an error:
    # it is given what its lines' lengths and brackets keep shallow.
    # Neither does Python's parser end soon on brackets that nobody closes.
    longest = max(map(len, text.splitlines()), default=0)
    if _open_brackets(text) > _SHALLOW:
        raise RecursionError
    if longest + text.count("[") + text.count("{") < _SHALLOW:
        try:
            return yaml.load(text, Loader=_FastLoader)
        except (yaml.YAMLError, *_UNREADABLE):
            pass  # the other parser words a fault better
    return yaml.load(text, Loader=_Loader)


def _open_brackets(text: str) -> int:
    """How many brackets are open at once, at most, those in strings and comments among them."""
    most = now = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        now += 1 if bracket in "[{" else -1
        most = max(most, now)
    return most


def _refuse_expansion(value: Any, where: str) -> None:
    """Aliases of aliases write 10^9 values in ten lines: they are counted before they are read."""
    sizes: dict[int, int] = {}

    def size(entry: Any) -> int:
        if not isinstance(entry, list | tuple | set | dict):
            return 1
        if id(entry) not in sizes:
            sizes[id(entry)] = 0  # what contains itself is refused by who reads it
            inner = entry.values() if isinstance(entry, dict) else entry
            sizes[id(entry)] = 1 + sum(map(size, inner))
        return sizes[id(entry)]

    if size(value) > _MOST_VALUES:
        raise UserError(f"{where}: holds more than {_MOST_VALUES} values, aliases followed")


def read_sections(
    path: Path,
    kinds: Iterable[type[Section]],
    known: Iterable[str] | None = None,
    where: str | None = None,
) -> dict[str, Section]:
    """The named sections of ``params.yaml``, validated.

    ``known`` are the top-level keys that the file may have; any other is refused. ``where`` is
    what errors call the file, by default its name.
    """
    raw = read_yaml(path)
    where = where or path.name
    if known is not None:
        names = sorted(known)
        lines: dict[Place, Callable[[], str]] = {
            (as_key(key),): partial(_unknown, _cut(key), as_key(key), names)
            for key in raw
            if key not in names
        }
        if lines:
            raise UserError(*(f"{where}: {line}" for line in _few("the file", lines, ())))
    return {kind.title: validate(raw.get(kind.title), kind, where) for kind in kinds}


def validate(raw: Any, kind: type[Section], where: str) -> Section:
    """``raw`` as a section; each fault is a line that names key, value and what is allowed."""
    if not isinstance(raw, Mapping):
        found = "missing" if raw is None else shown(raw)
        raise UserError(f"{where}: {kind.title} is {found}; expected a mapping of keys")
    kind = kind.of(raw)
    copy = as_json(raw)
    plain, odd, _ = copy
    details: list[Any] = []
    try:
        section = kind.read(plain)
        if not odd:
            return section
    except ValidationError as error:
        details = error.errors(include_url=False)
    lines = _faults(kind, raw, copy, details)
    known = _schema(kind)["properties"]
    raise UserError(*(f"{where}: {line}" for line in _few(kind.title, lines, known)))


def leaves(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` -> ``{"a.b": 1}``; lists are leaves."""
    flat: dict[str, Any] = {}
    for key, entry in value.items():
        name = f"{prefix}{key}"
        if isinstance(entry, Mapping):
            flat.update(leaves(entry, f"{name}."))
        else:
            flat[name] = entry
    return flat


def tracked_leaves(kind: type[Section]) -> list[str]:
    """The keys of a section that DVC tracks, as ``section.key``."""
    properties = _schema(kind)["properties"]
    return [
        f"{kind.title}.{key}" for key, field in properties.items() if field.get("tracked", True)
    ]


@cache
def _schema(kind: type[Section]) -> dict[str, Any]:
    """What the section's class takes, as JSON has it; nobody changes it."""
    return kind.model_json_schema()


def _faults(
    kind: type[Section],
    raw: Mapping[Any, Any],
    copy: tuple[dict[str, Any], dict[Place, str], dict[Place, Any]],
    details: list[Any],
) -> dict[Place, Callable[[], str]]:
    """What words a fault, by its place: what pydantic found, and what JSON has not."""
    plain, odd, keys = copy
    schema = _schema(kind)
    lines: dict[Place, Callable[[], str]] = {}
    lengths: set[Place] = set()
    for detail in details:
        place, is_length = _place(detail, plain)
        of_a_null = any(place[:n] in odd for n in range(len(place) + 1)) or (odd and not place)
        if of_a_null and detail["type"] != "extra_forbidden":
            continue  # that of the copy, which nobody wrote
        lines.setdefault(place, partial(_line, kind, schema, raw, place, keys, detail))
        lengths |= {place} if is_length else set()
    # Where one kind of a union reads on, those that stop before it have nothing to say.
    passed = {place[:n] for place in lines for n in range(len(place))} - lengths
    lines = {place: line for place, line in lines.items() if place not in passed}
    for place, found in odd.items():
        if not any(place[:n] in lines for n in range(len(place) + 1)):
            lines[place] = partial(_odd, kind, schema, raw, place, keys, found)
    return lines


def _few(
    title: str, lines: Mapping[Place, Callable[[], str]], known: Iterable[str]
) -> Iterator[str]:
    """The lines; of those about very many entries of one key the first, and how many there are.

    Keys that are not ``known`` count as entries of the whole. No line is told twice.
    """
    known = set(known)
    counts: Counter[Place] = Counter()
    told: set[str] = set()
    for place, line in lines.items():
        group = place[:1] if place[:1] and place[0] in known else ()
        if counts[group] < _MOST_LINES:
            text = line()
            if text in told:
                continue
            told.add(text)
            yield text
        counts[group] += 1
    for key, count in counts.items():
        if count > _MOST_LINES:
            what = "such faults" if key else "unknown keys"
            yield f"{_name(title, key, {})} has {count - _MOST_LINES} more {what}; expected none"


def _place(detail: Any, plain: Any) -> tuple[Place, bool]:
    """Where in ``plain`` a fault is, and whether it is the length of the list there.

    pydantic's own place also names the kinds of a union, and what a list is too short for.
    """
    place: Place = ()
    *_, last = detail["loc"] or ("",)
    for step in detail["loc"]:
        if isinstance(plain, dict) and isinstance(step, str):
            if step in plain or (detail["type"] == "missing" and step == last):
                place, plain = (*place, step), plain.get(step)
        elif isinstance(plain, list) and isinstance(step, int):
            if step >= len(plain):
                return place, True
            place, plain = (*place, step), plain[step]
    # A list is short for pydantic too where entries of it are wrong.
    is_length = detail["type"] in ("too_short", "too_long")
    return place, is_length and detail["ctx"]["actual_length"] == len(plain)


def _line(
    kind: type[Section],
    schema: Mapping[str, Any],
    raw: Any,
    place: Place,
    keys: Mapping[Place, Any],
    detail: Any,
) -> str:
    name, above = _name(kind.title, place, keys), place[:-1]
    if detail["type"] == "value_error" and any("properties" in one for one in about(schema, place)):
        return str(detail["ctx"]["error"])  # a rule over several keys names them itself
    if detail["type"] == "extra_forbidden":
        known = [key for one in about(schema, above) for key in one.get("properties", ())]
        return _unknown(name, str(place[-1]), known, f"{_name(kind.title, above, keys)}.")
    found = _found(raw, place, keys)
    words = "missing" if found is ... else shown(found)
    return f"{name} is {words}; expected {_wanted(schema, place, found)}"


def _odd(
    kind: type[Section],
    schema: Mapping[str, Any],
    raw: Any,
    place: Place,
    keys: Mapping[Place, Any],
    words: str,
) -> str:
    wanted = _wanted(schema, place, _found(raw, place, keys))
    return f"{_name(kind.title, place, keys)} is {words}; expected {wanted}"


def _found(raw: Any, place: Place, keys: Mapping[Place, Any]) -> Any:
    """What stands at a place, ``...`` where nothing does."""
    for n, step in enumerate(place, 1):
        key: Any = keys.get(place[:n], step)
        if isinstance(raw, Mapping):
            raw = raw.get(key, ...)
        else:  # of the keys 1 and "1" the copy has one, and both may have what JSON has not
            is_there = isinstance(raw, list | tuple) and isinstance(key, int) and key < len(raw)
            raw = raw[key] if is_there else ...
    return raw


def _wanted(schema: Mapping[str, Any], place: Place, found: Any) -> str:
    words = expected(schema, place)
    if is_long(found):
        words = words.replace("an integer", "a shorter integer", 1)
    if isinstance(found, int | float) and not abs(found) <= sys.float_info.max:  # nor is nan
        words = words.replace("a number", "a finite number", 1)
    return words


def _name(title: str, place: Place, keys: Mapping[Place, Any]) -> str:
    """A place as the user finds it: ``synthesize.layer_bits[0][1]``, with the file's own keys."""
    name = title
    for n, step in enumerate(place, 1):
        key = keys.get(place[:n], step)
        if isinstance(step, int):
            name += f"[{step}]"
        else:
            is_text = isinstance(key, bool | int | float | str | None)
            name += f".{_cut(key)}" if is_text else f".({_cut(key)})"
    return name


def _cut(key: Any) -> str:
    if not isinstance(key, str):
        return shown(key)
    return shown(key[:_LONGEST], 10 * _LONGEST)[1:-1] + ("..." if len(key) > _LONGEST else "")


def _unknown(name: str, key: str, known: list[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(key[:_LONGEST], known, n=1)
    if near:
        return f"{name} is an unknown key; did you mean {prefix}{near[0]}?"
    count = len(known)
    while len(", ".join(known[:count])) > _LONGEST_WORDS:
        count -= 1
    more = f" and {len(known) - count} more" if count < len(known) else ""
    return f"{name} is an unknown key; expected one of {', '.join(known[:count])}{more}"

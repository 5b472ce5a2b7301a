"""``params.yaml`` -> frozen sections, with errors in one line each."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from geocore.config.section import Section
from geocore.errors import UserError

__all__ = ["leaves", "parse_yaml", "read_sections", "read_yaml", "tracked_leaves", "validate"]

_LONGEST = 80  # characters of a found value that a line repeats
_MOST_VALUES = 10**6  # of a file, each alias as what it stands for
_SHALLOW = 1000  # levels of nesting that libyaml certainly stands


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
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        mapping: dict[Any, Any] = yaml.SafeLoader.construct_mapping(self, node, deep)
        return mapping

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
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(f"^({_pattern})$"), list(_first)
    )
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_integer)


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
        raise UserError(f"{where}{line}: {problem}; expected valid YAML") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # What PyYAML meets in a value that its tag does not allow: !!int x, !!timestamp x.
        reason = " ".join(str(error).split())[:_LONGEST]
        raise UserError(f"{where}: a value is not as its tag says ({reason})") from None
    if not isinstance(value, dict):
        found = (
            "is empty"
            if value is None
            else f"holds the {type(value).__name__} {value!r}"[:_LONGEST]
        )
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
        except yaml.YAMLError:
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
        unknown = [_unknown(where, str(key), str(key), names) for key in raw if key not in names]
        if unknown:
            raise UserError(*unknown)
    return {kind.title: validate(raw.get(kind.title), kind, where) for kind in kinds}


def validate(raw: Any, kind: type[Section], where: str) -> Section:
    """``raw`` as a section; each fault is a line that names key, value and what is allowed."""
    if not isinstance(raw, Mapping):
        found = "missing" if raw is None else repr(raw)
        raise UserError(f"{where}: {kind.title} is {found}; expected a mapping of keys")
    kind = kind.of(raw)
    try:
        _refuse_non_finite(raw, kind.title, where)
        return kind.read(raw)
    except ValidationError as error:
        schema = kind.model_json_schema()
        lines: dict[str, str] = {}  # the first fault of a key; the rest follow from it
        for detail in error.errors():
            lines.setdefault(str(detail["loc"][:1]), _line(where, kind, schema, detail))
        raise UserError(*lines.values()) from None
    except (TypeError, ValueError, RecursionError):  # sets, bytes, and what contains itself
        raise UserError(
            f"{where}: {kind.title} holds what JSON does not; expected numbers, strings, "
            "true, false, null, or lists of these"
        ) from None


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
    properties = kind.model_json_schema()["properties"]
    return [
        f"{kind.title}.{key}" for key, about in properties.items() if about.get("tracked", True)
    ]


def _refuse_non_finite(raw: Any, name: str, where: str) -> None:
    if isinstance(raw, Mapping):
        for key, value in raw.items():
            _refuse_non_finite(value, f"{name}.{key}", where)
    elif isinstance(raw, float) and (raw != raw or raw in (float("inf"), float("-inf"))):
        raise UserError(f"{where}: {name} is {raw}; expected a finite number")


def _line(where: str, kind: type[Section], schema: dict[str, Any], detail: Any) -> str:
    path = [str(step) for step in detail["loc"]]
    if detail["type"] == "value_error" and not path:  # a rule over several keys names them itself
        return f"{where}: {detail['ctx']['error']}"
    # pydantic appends the member of a union to the path; the key alone is what the user wrote.
    key = path[0] if path else ""
    name = f"{kind.title}.{key}" if key else kind.title
    if detail["type"] == "extra_forbidden":
        return _unknown(where, name, key, list(schema["properties"]), f"{kind.title}.")
    about = schema["properties"].get(key, {})
    expected = _expected(about)
    if detail["type"] == "missing":
        return f"{where}: {name} is missing; expected {expected}"
    found = json.dumps(detail["input"], ensure_ascii=False)
    found = found if len(found) <= _LONGEST else f"{found[:_LONGEST]}..."
    if len(path) > 1 and path[1].isdigit():
        name = f"{name}[{path[1]}]"
        expected = _expected(about.get("items", about))
    return f"{where}: {name} is {found}; expected {expected}"


def _unknown(where: str, name: str, key: str, known: list[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {prefix}{near[0]}?" if near else f"expected one of {', '.join(known)}"
    return f"{where}: {name} is an unknown key; {hint}"


def _expected(about: Mapping[str, Any]) -> str:
    """A JSON schema in words: ``a number above 0 and at most 10``."""
    if "expected" in about:
        return str(about["expected"])
    if "anyOf" in about:
        return " or ".join(_expected(option) for option in about["anyOf"])
    if "enum" in about:
        return "one of " + ", ".join(str(option) for option in about["enum"])
    if "const" in about:
        return f"{about['const']}"
    kind = about.get("type")
    if kind == "null":
        return "null"
    if kind == "array":
        return "a list, each " + _expected(about.get("items", {}))
    words = {"integer": "an integer", "number": "a number", "string": "a string"}
    words["boolean"] = "true or false"
    bounds = []
    for key, phrase in (
        ("minimum", "at least"), ("exclusiveMinimum", "above"),
        ("maximum", "at most"), ("exclusiveMaximum", "below"),
    ):  # fmt: skip
        if key in about:
            bound = about[key]
            bounds.append(f"{phrase} {int(bound) if bound == int(bound) else bound}")
    return " ".join([words.get(str(kind), "another value"), " and ".join(bounds)]).strip()

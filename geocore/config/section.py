"""What every section of ``params.yaml`` has in common: its class, its rules, the words of both."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from geocore.config.foreign_json import shown

__all__ = ["PowerOfTwo", "Section", "Seed", "about", "expected", "rule", "untracked", "worded"]

_KINDS = {
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
    "boolean": "true or false",
    "null": "null",
    "object": "a mapping of keys",
}
_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}


class Section(BaseModel):
    """A frozen section: unknown keys refused, no silent conversion, every key required.

    Every key must stand in ``params.yaml``, so that the file is the whole record of a run and DVC
    can track each leaf.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    title: ClassVar[str]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> type[Section]:
        """The class that ``raw`` is read as: another one where a key decides which keys follow."""
        del raw
        return cls

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Self:
        """The section of plain values as ``model_dump(mode="json")`` gives them.

        Raises pydantic's ``ValidationError`` for any others, ``TypeError`` for what is no mapping.
        """
        if not isinstance(value, Mapping):
            raise TypeError(f"{cls.title} is {shown(value)}; expected a mapping of keys")
        # As JSON: lists become tuples, and nothing else is converted.
        found = cls.of(value).model_validate_json(json.dumps(value))
        assert isinstance(found, cls)  # `of` gives the class itself or one below it
        return found


def untracked(**constraints: Any) -> Any:
    """A field that cannot change results, so that DVC does not track it."""
    return Field(json_schema_extra={"tracked": False}, **constraints)


def rule(holds: Callable[[Any], bool], words: str) -> tuple[AfterValidator, Any]:
    """A check beyond type and range, and the words that its error ends with.

    What must hold of each entry of a list is a bound or a rule of the entry, so that the line about
    it has its place.
    """

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(words)
        return value

    return AfterValidator(check), worded(words)


def worded(words: str) -> Any:
    """A field whose errors end with these words: for a type whose own say too little."""
    return Field(json_schema_extra={"expected": words})


def about(schema: Mapping[str, Any], place: Iterable[str | int]) -> list[Mapping[str, Any]]:
    """What a JSON schema says of a place, once for each kind of value that may stand there."""
    found = _options(schema, schema)
    for step in place:
        found = [option for above in found for option in _options(_entry(above, step), schema)]
    return found


def expected(schema: Mapping[str, Any], place: Iterable[str | int]) -> str:
    """That in words: ``a number above 0 and at most 10``."""
    return _either(_words(option, schema) for option in about(schema, place))


def _options(part: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    inner = list(part.get("anyOf", ()))
    if "$ref" in part:
        inner.append(schema["$defs"][part["$ref"].rpartition("/")[2]])
    if not inner:
        return [part] if part else []
    said = {"expected": part["expected"]} if "expected" in part else {}
    return [{**option, **said} for one in inner for option in _options(one, schema)]


def _entry(above: Mapping[str, Any], step: str | int) -> Mapping[str, Any]:
    if isinstance(step, str):
        found = above.get("properties", {}).get(step) or above.get("additionalProperties")
    else:
        first = above.get("prefixItems", [])
        found = first[step] if step < len(first) else above.get("items")
    return found if isinstance(found, Mapping) else {}


def _words(part: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "expected" in part:
        return str(part["expected"])
    if "enum" in part:
        return "one of " + ", ".join(str(option) for option in part["enum"])
    if "const" in part:
        return str(part["const"])
    if part.get("type") == "array":
        return _list(part, schema)
    words = "a non-empty string" if part.get("minLength") else _KINDS.get(part.get("type", ""), "")
    if part.get("required"):
        words += f", {', '.join(part['required'])} among them"
    bounds = [f"{how} {_number(part[key])}" for key, how in _BOUNDS.items() if key in part]
    return f"{words or 'another value'} {' and '.join(bounds)}".strip()


def _list(part: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    def entry(one: Mapping[str, Any]) -> str:
        return _either(_words(option, schema) for option in _options(one, schema))

    if "prefixItems" in part:
        entries = [entry(one) for one in part["prefixItems"]]
        return f"a list of {len(entries)}: {'; '.join(entries)}"
    least, most = part.get("minItems", 0), part.get("maxItems")
    count = f" of at least {least}" if least else ""
    count = count if most is None else f" of {least} to {most}"
    return f"a list{count}, each {entry(part.get('items', {}))}"


def _number(bound: float) -> str:
    return str(int(bound) if bound == int(bound) else bound)


def _either(words: Iterable[str]) -> str:
    options = list(dict.fromkeys(words))
    # Null comes first where it would read as one of what is listed.
    if len(options) > 2 or any(" list" in one or ":" in one for one in options):
        options.sort(key=lambda one: one != "null")
    if len(options) > 2:
        return f"{', '.join(options[:-1])}, or {options[-1]}"
    comma = "," if "null" not in options and any("," in one for one in options) else ""
    return f"{comma} or ".join(options) or "another value"


PowerOfTwo = Annotated[
    int,
    *rule(lambda n: 1 <= n <= 8192 and n & (n - 1) == 0, "a power of two from 1 to 8192"),
]
Seed = Annotated[int, Field(ge=0, lt=2**31)]

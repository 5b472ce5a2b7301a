"""What every section of ``params.yaml`` has in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = ["PowerOfTwo", "Section", "Seed", "rule", "untracked"]


class Section(BaseModel):
    """A frozen section: unknown keys refused, no silent conversion, every key required.

    Every key must stand in ``params.yaml``, so that the file is the whole record of a run and DVC
    can track each leaf.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
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
            raise TypeError(f"{cls.title} is {value!r}; expected a mapping of keys")
        # As JSON: lists become tuples, and nothing else is converted.
        found = cls.of(value).model_validate_json(json.dumps(value))
        assert isinstance(found, cls)  # `of` gives the class itself or one below it
        return found


def untracked(**constraints: Any) -> Any:
    """A field that cannot change results, so that DVC does not track it."""
    return Field(json_schema_extra={"tracked": False}, **constraints)


def rule(holds: Callable[[Any], bool], expected: str) -> tuple[AfterValidator, Any]:
    """A check beyond type and range, and the words that its error ends with."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(expected)
        return value

    return AfterValidator(check), Field(json_schema_extra={"expected": expected})


PowerOfTwo = Annotated[
    int,
    *rule(lambda n: 1 <= n <= 8192 and n & (n - 1) == 0, "a power of two from 1 to 8192"),
]
Seed = Annotated[int, Field(ge=0, lt=2**31)]

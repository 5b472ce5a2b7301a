"""What every section of ``params.yaml`` has in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = ["PowerOfTwo", "Section", "Seed", "rule", "untracked"]


class Section(BaseModel):
    """A frozen section: unknown keys refused, no silent conversion, every key required.

    Every key must stand in ``params.yaml``, so that the file is the whole record of a run and DVC
    can track each leaf.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    title: ClassVar[str]


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

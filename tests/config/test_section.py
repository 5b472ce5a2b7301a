"""A section's fields in words, whatever kinds of value they take; and where in them a fault is."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from geocore.config.load import validate
from geocore.config.section import Section, expected, rule, worded
from geocore.errors import UserError

Small = Annotated[int, Field(ge=1, le=9)]


class Inner(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    least: int
    most: int
    note: str | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Inner:
        if self.least > self.most:
            raise ValueError(f"many.inner has least {self.least}; expected at most {self.most}")
        return self


class Many(Section):
    """A field of each kind that a section may have."""

    title: ClassVar[str] = "many"

    counts: dict[str, Small]
    grid: tuple[tuple[Small, ...], ...]
    pair: tuple[str, float]
    some: Annotated[tuple[Small, ...], Field(min_length=1, max_length=3)] | None
    either: Small | tuple[Small, ...] | Literal["all", "none"]
    inner: Inner | None
    name: Annotated[str, Field(min_length=1)]
    odd: Annotated[int | str, *rule(lambda one: one != 3, "anything but 3")]
    told: Annotated[tuple[int, int], worded("[from, to]")]
    on: bool


GOOD: dict[str, Any] = {
    "counts": {"a": 1}, "grid": [[1, 2], []], "pair": ["a", 0.5], "some": [1], "either": [1, 2],
    "inner": {"least": 1, "most": 2}, "name": "a", "odd": 4, "told": [1, 2], "on": True,
}  # fmt: skip
SMALL = "an integer at least 1 and at most 9"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (["counts"], "a mapping of keys"),
        (["counts", "any"], SMALL),
        (["grid"], f"a list, each a list, each {SMALL}"),
        (["grid", 7, 0], SMALL),
        (["pair"], "a list of 2: a string; a number"),
        (["pair", 1], "a number"),
        (["some"], f"null or a list of 1 to 3, each {SMALL}"),
        (["either"], f"{SMALL}, a list, each {SMALL}, or one of all, none"),
        (["either", 3], SMALL),
        (["inner"], "a mapping of keys, least, most among them or null"),
        (["inner", "note"], "a string or null"),
        (["name"], "a non-empty string"),
        (["odd"], "anything but 3"),
        (["told"], "[from, to]"),
        (["told", 0], "an integer"),
        (["on"], "true or false"),
        (["no", "such"], "another value"),
    ],
)
def test_a_field_in_words(place: list[str | int], words: str) -> None:
    assert expected(Many.model_json_schema(), place) == words


@pytest.mark.parametrize(
    ("key", "value", "lines"),
    [
        ("counts", {"a": 1, "b": 0, "c": "x"}, [("counts.b", "0"), ("counts.c", '"x"')]),
        ("counts", [], [("counts", "[]")]),
        ("counts", {3: 0}, [("counts.3", "0")]),
        ("counts", {3: [math.nan], "3": 0}, [("counts.3", "0")]),
        ("counts", {b"hi": 0}, [("counts.(binary data)", "0")]),
        ("grid", [[1], [2, 10], 3], [("grid[1][1]", "10"), ("grid[2]", "3")]),
        ("pair", ["a"], [("pair", '["a"]')]),
        ("pair", ["a", 1, 2], [("pair", '["a", 1, 2]')]),
        ("pair", ["a", 10**400], [("pair[1]", f"1{'0' * 79}...")]),
        ("pair", [1, "b"], [("pair[0]", "1"), ("pair[1]", '"b"')]),
        ("pair", [1], [("pair[0]", "1"), ("pair", "[1]")]),
        ("some", [], [("some", "[]")]),
        ("some", [1] * 4, [("some", "[1, 1, 1, 1]")]),
        ("some", [0], [("some[0]", "0")]),
        ("either", 0, [("either", "0")]),
        ("either", "some", [("either", '"some"')]),
        ("either", {}, [("either", "{}")]),
        ("either", [1, 10], [("either[1]", "10")]),
        ("inner", {"least": 1}, [("inner.most", "missing")]),
        ("inner", {"least": "1", "most": 2}, [("inner.least", '"1"')]),
        ("inner", [1, 2], [("inner", "[1, 2]")]),
        ("name", "", [("name", '""')]),
        ("odd", 3, [("odd", "3")]),
        ("told", [1, 2, 3], [("told", "[1, 2, 3]")]),
        ("told", [1, None], [("told[1]", "null")]),
        ("on", 1, [("on", "1")]),
    ],
)
def test_a_fault_is_told_with_its_place(key: str, value: Any, lines: list[tuple[str, str]]) -> None:
    validate(GOOD, Many, "x.yaml")
    with pytest.raises(UserError) as caught:
        validate(GOOD | {key: value}, Many, "x.yaml")
    begun = [line.partition("; expected ")[0] for line in caught.value.lines]
    assert begun == [f"x.yaml: many.{name} is {found}" for name, found in lines]
    assert "another value" not in str(caught.value)


def test_what_a_part_says_of_several_keys_and_which_it_knows() -> None:
    with pytest.raises(UserError) as caught:
        validate(GOOD | {"inner": {"least": 3, "most": 2}}, Many, "x.yaml")
    assert str(caught.value) == "x.yaml: many.inner has least 3; expected at most 2"
    with pytest.raises(UserError) as caught:
        validate(GOOD | {"inner": {"least": 1, "most": 2, "notes": "a", "Q": 1}}, Many, "x.yaml")
    assert caught.value.lines == (
        "x.yaml: many.inner.notes is an unknown key; did you mean many.inner.note?",
        "x.yaml: many.inner.Q is an unknown key; expected one of least, most, note",
    )


def test_what_is_no_section_is_refused_by_its_title() -> None:
    assert Many.read(GOOD).model_dump(mode="json") | {"inner": GOOD["inner"]} == GOOD
    wrong: Any = [1]
    with pytest.raises(TypeError, match=r"^many is \[1\]; expected a mapping of keys$"):
        Many.read(wrong)

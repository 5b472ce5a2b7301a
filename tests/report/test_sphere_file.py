"""The file of spheres: what was written is read, and what is damaged is told in a line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocore.report.sphere_file import Spheres, read_spheres, spheres_bytes
from tests.report.spheres import classified, segmented

CONTENT = spheres_bytes(segmented(2, samples=1, turns=2))


def same(first: Any, second: Any) -> None:
    """Equal in every field, arrays in type and number, NaN for NaN."""
    assert type(first) is type(second)
    if dataclasses.is_dataclass(first):
        for field in dataclasses.fields(first):
            same(getattr(first, field.name), getattr(second, field.name))
    elif isinstance(first, np.ndarray):
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)
    elif isinstance(first, tuple):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            same(one, other)
    elif isinstance(first, dict):
        same(tuple(first), tuple(second))
        same(tuple(first.values()), tuple(second.values()))
    else:
        assert first == second or (first != first and second != second)


def depths() -> Spheres:
    """Metres with gaps, no uncertainty, an error that is not known, and a map of two faces."""
    plain = segmented(4)
    one, size = plain.samples[0], 2 * 16
    metres = np.linspace(1, 9, size).astype(np.float32)
    metres[3] = np.nan
    turn = dataclasses.replace(
        one.turns[0], error=float("nan"), found=metres, expected=metres, difference=metres
    )
    sample = dataclasses.replace(
        one, view="tilted", input=np.ones((size, 3), np.float32), label=metres, prediction=metres,
        uncertainty=None, turns=(turn,), spectra={},
    )  # fmt: skip
    return dataclasses.replace(
        plain, task="depth", faces=(0, 5), classes=(), colours=(), sky=0.1, samples=(sample,)
    )


@pytest.mark.parametrize("make", [segmented, classified, depths])
def test_what_was_written_is_read(make: Callable[[], Spheres]) -> None:
    content = spheres_bytes(make())
    same(read_spheres(content), make())
    assert spheres_bytes(read_spheres(content)) == content


def test_it_is_plain_arrow_that_any_reader_opens() -> None:
    table = pa.ipc.open_file(CONTENT).read_all()
    about = json.loads(table.schema.metadata[b"geocore"])
    assert (about["nside"], about["ordering"], about["task"]) == (2, "nested", "segmentation")
    assert about["faces"] == list(range(12)) and about["classes"] == ["sky", "ground", "pillar"]
    names = table.column("what").to_pylist()
    assert names[:4] == ["input", "label", "prediction", "uncertainty"]
    assert names.count("f(Rx)") == names.count("R f(x)") == names.count("difference") == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"nside": 4}, "with an input of 48 numbers"),
        ({"nside": 3}, "no such grid"),
        ({"faces": (0, 0)}, "no such grid"),
        ({"task": "painting"}, "no such grid, task"),
        ({"colours": ("red",)}, "no such grid"),
        ({"classes": ("sky",), "colours": ("#000000",)}, "a code beyond 1 classes"),
        ({"samples": ()}, "without samples"),
    ],
)
def test_what_does_not_fit_together_is_told(change: dict[str, Any], told: str) -> None:
    wrong = dataclasses.replace(segmented(2, samples=1), **change)
    with pytest.raises(ValueError, match=rf"^spheres: the file is .*{told}.*; expected what the"):
        read_spheres(spheres_bytes(wrong))


def test_maps_of_another_kind_are_told() -> None:
    plain = segmented(2, samples=1)
    for change in (
        {"prediction": np.zeros(48, np.float32)},
        {"prediction": np.zeros(47, np.uint8)},
        {"uncertainty": np.zeros(12, np.float32)},
    ):
        sample = dataclasses.replace(plain.samples[0], **change)
        with pytest.raises(ValueError, match=r"^spheres: the file is with a map of \d+ \w+; 48"):
            read_spheres(spheres_bytes(dataclasses.replace(plain, samples=(sample,))))


@pytest.mark.parametrize("content", [b"", b"xx", b"ARROW1\0\0" * 4, CONTENT[:-9], CONTENT[9:]])
def test_other_bytes_are_told(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^spheres: the file is .*; expected what the stage"):
        read_spheres(content)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(0, 255)), max_size=4),
    st.integers(0, len(CONTENT)),
)
def test_damaged_bytes_are_read_or_told_in_a_line(
    changes: list[tuple[int, int]], length: int
) -> None:
    damaged = bytearray(CONTENT)
    for place, value in changes:
        damaged[place] = value
    for content in (bytes(damaged), bytes(damaged[:length])):
        try:
            read_spheres(content)
        except ValueError as error:
            assert str(error).startswith("spheres: the file is ") and "\n" not in str(error)


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_compressed_columns_are_refused_before_they_are_unpacked(codec: str) -> None:
    """A file of some kilobytes may be terabytes of zeros."""
    table = pa.ipc.open_file(CONTENT).read_all()
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    before = pa.total_allocated_bytes()
    with pytest.raises(ValueError, match=r"^spheres: .*compressed columns"):
        read_spheres(bytes(sink.getvalue()))
    assert pa.total_allocated_bytes() - before < 2**16

"""Members' predictions read from Parquet in every order, and files that do not hold them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from geocore.measure import members_file
from geocore.measure.members_file import mixture_slices
from geocore.measure.mixture_batch import MixtureBatch, mixture_batch

MEMBERS, N, CLASSES = 4, 23, 3


def predictions(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(MEMBERS, N, CLASSES, generator=generator, dtype=torch.float64)
    labels = torch.randint(CLASSES, (N,), generator=generator)
    return (2 * scores).log_softmax(dim=-1), labels


def table(members: Tensor, labels: Tensor, split: str = "test", first: int = 0) -> pa.Table:
    """Member by member, as stage ``ensemble`` writes them."""
    count, n, classes = members.shape
    values = pa.array(members.reshape(-1).numpy())
    return pa.table(
        {
            "sample": np.tile(np.arange(first, first + n), count),
            "split": [split] * (count * n),
            "label": np.tile(labels.numpy(), count),
            "member": np.repeat(np.arange(count), n),
            "log_probabilities": pa.FixedSizeListArray.from_arrays(values, classes),
        }
    )


def collected(path: Path, **how: Any) -> tuple[Tensor, MixtureBatch]:
    numbers, batches = zip(*mixture_slices(path, **how), strict=True)
    fields = {
        name: torch.cat([getattr(batch, name) for batch in batches]) for name in vars(batches[0])
    }
    return torch.cat(numbers), MixtureBatch(**fields)


def assert_same(found: MixtureBatch, expected: MixtureBatch) -> None:
    for name, value in vars(expected).items():
        torch.testing.assert_close(getattr(found, name), value, rtol=1e-13, atol=1e-14)


def by_sample(rows: pa.Table) -> pa.Table:
    return rows.sort_by([("sample", "ascending"), ("member", "ascending")])


def by_slices(rows: pa.Table) -> pa.Table:
    """Slices of five samples, each member by member: as a streaming writer would."""
    order = np.lexsort((rows["sample"], rows["member"], np.asarray(rows["sample"]) // 5))
    return rows.take(order)


def as_lists(rows: pa.Table) -> pa.Table:
    plain = pa.array(rows["log_probabilities"].to_pylist(), pa.large_list(pa.float64()))
    names = rows["split"].combine_chunks().dictionary_encode()
    rows = rows.set_column(1, "split", names)
    return rows.set_column(4, "log_probabilities", plain)


@pytest.mark.parametrize("samples", [None, 1, 5, 7, N, 1000])
@pytest.mark.parametrize("written", [lambda rows: rows, by_sample, by_slices, as_lists])
@pytest.mark.parametrize("group", [3, 10_000])
def test_every_order_gives_the_mixture(
    written: Callable[[pa.Table], pa.Table],
    samples: int | None,
    group: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(members_file, "_ROWS", 16)  # rows of several members in one batch
    members, labels = predictions()
    path = tmp_path / "members.parquet"
    pq.write_table(written(table(members, labels, first=100)), path, row_group_size=group)
    numbers, found = collected(path, samples=samples)
    assert numbers.tolist() == list(range(100, 100 + N))
    assert_same(found, mixture_batch(members, labels))
    lengths = [len(part) for part, _ in mixture_slices(path, samples=samples)]
    assert sum(lengths) == N and max(lengths) <= (samples or N)


def test_splits_are_read_apart_or_together(tmp_path: Path) -> None:
    (val, val_labels), (test, test_labels) = predictions(1), predictions(2)
    path = tmp_path / "members.parquet"
    rows = [table(val, val_labels, "val"), table(test, test_labels, "test", N)]
    pq.write_table(pa.concat_tables(rows), path)
    for name, members, labels in (("val", val, val_labels), ("test", test, test_labels)):
        assert_same(collected(path, split=name, samples=10)[1], mixture_batch(members, labels))
    numbers, both = collected(path, samples=10)
    assert numbers.tolist() == list(range(2 * N))
    whole = mixture_batch(torch.cat([val, test], dim=1), torch.cat([val_labels, test_labels]))
    assert_same(both, whole)
    with pytest.raises(ValueError) as error:
        collected(path, split="train")
    assert str(error.value) == f"{path} has no split 'train'; expected one of test, val"


def test_what_is_held_has_a_size_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members_file, "_NUMBERS", 12)
    members, labels = predictions()
    path = tmp_path / "members.parquet"
    pq.write_table(table(members, labels), path)
    assert [len(part) for part, _ in mixture_slices(path)] == [4, 4, 4, 4, 4, 3]


def changed(name: str, place: int, value: object) -> Callable[[pa.Table], pa.Table]:
    def change(rows: pa.Table) -> pa.Table:
        entries = rows[name].to_pylist()
        entries[place] = value
        kind = pa.list_(pa.float64()) if name == "log_probabilities" else rows[name].type
        at = rows.schema.get_field_index(name)
        return rows.set_column(at, name, pa.array(entries, kind))

    return change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda rows: rows.drop(["label"]), "has no column label; expected sample, split, label, "
         "member, log_probabilities"),
        (lambda rows: rows.drop(["log_probabilities"]), "has no column log_probabilities; expected "
         "sample, split, label, member, log_probabilities"),
        (lambda rows: rows.set_column(3, "member", rows["split"]), "has member of type string; "
         "expected integers"),
        (lambda rows: rows.set_column(4, "log_probabilities", rows["label"]), "has "
         "log_probabilities of type int64; expected lists of floats"),
        (lambda rows: rows.set_column(1, "split", rows["label"]), "has split of type int64; "
         "expected text"),
        (lambda rows: rows[:0], "has no rows; expected one a sample and member"),
        (lambda rows: rows[: N + 9], "has 9 samples of member 1; expected 23, as of member 0"),
        (changed("label", 30, None), "has a missing label; expected one a row"),
        (changed("split", 30, None), "has a missing split; expected one a row"),
        (changed("log_probabilities", 30, None), "has a missing log_probabilities; "
         "expected one a row"),
        (changed("sample", 30, 99), "has sample 99 of member 1 where other members have 7; "
         "expected the same order"),
        (changed("label", 2 * N, 7), "member 2: labels runs from 0 to 7; expected 0 to 2"),
        (changed("log_probabilities", 0, []), "has no log_probabilities in its first row; "
         "expected one a class"),
        (changed("log_probabilities", 30, [0.0, -np.inf]), "has a row of 2 log_probabilities; "
         "expected 3, as in the first"),
        (changed("log_probabilities", 30, [-1.0, -1.0, -1.0]), "member 1: log_probabilities has "
         "logsumexp 0 within 0.0986; expected 0"),
        (changed("log_probabilities", 30, [0.0, -np.inf, None]), "member 1: log_probabilities has "
         "logsumexp 0 within inf; expected 0"),
    ],
)  # fmt: skip
def test_files_that_are_refused(
    change: Callable[[pa.Table], pa.Table], line: str, tmp_path: Path
) -> None:
    path = tmp_path / "members.parquet"
    pq.write_table(change(table(*predictions())), path)
    with pytest.raises(ValueError) as error:
        collected(path)
    assert str(error.value).removeprefix(str(path)).lstrip(", ") == line


def test_labels_of_one_sample_are_one(tmp_path: Path) -> None:
    members, labels = predictions()
    path = tmp_path / "members.parquet"
    other = int((labels[0] + 1) % CLASSES)
    pq.write_table(changed("label", N, other)(table(members, labels)), path)
    with pytest.raises(ValueError, match=r"parquet, member 1: labels differ from an earlier memb"):
        collected(path)


def test_what_is_no_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "members.parquet"
    with pytest.raises(FileNotFoundError):
        collected(path)
    path.write_text("sample,split\n")
    with pytest.raises(ValueError) as error:
        collected(path)
    assert str(error.value) == f"{path} is no Parquet file; expected members' predictions"
    # Damage in the middle of a page, which only reading finds.
    pq.write_table(table(*predictions()), path, compression="zstd", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = b"\0" * (len(content) // 2 - 4)
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError) as error:
        collected(path)
    assert str(error.value) == f"{path} cannot be read to its end; expected a whole file"


def test_a_slice_has_a_sample() -> None:
    with pytest.raises(ValueError, match=r"^samples is 0; expected at least 1$"):
        next(mixture_slices(Path("nowhere"), samples=0))

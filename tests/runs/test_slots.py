"""Two checkpoints in turn: the newest that is whole is gone on from."""

from __future__ import annotations

from pathlib import Path

from geocore.runs.slots import Slots
from geocore.runs.store import Store

KEY = "0123456789abcdef" * 2


def write(text: str, folder: Path) -> None:
    (folder / "state").write_text(text, encoding="utf-8")


def save(slots: Slots, step: int) -> None:
    slots.save(step, lambda folder: write(f"step {step}", folder))


def stands_at(root: Path) -> str | None:
    """What whoever comes next finds."""
    found = Slots(Store(root), KEY).newest()
    return None if found is None else found.file("state").read_text(encoding="utf-8")


def test_the_newest_is_found_and_two_are_kept(tmp_path: Path) -> None:
    assert stands_at(tmp_path) is None
    slots = Slots(Store(tmp_path), KEY)
    for step in (10, 20, 30):
        save(slots, step)
        assert stands_at(tmp_path) == f"step {step}"
    assert sorted(piece.values["step"] for piece in Store(tmp_path).pieces()) == [20, 30]
    assert {piece.key for piece in Store(tmp_path).pieces()} == set(slots.keys)


def test_a_damaged_one_leaves_the_other(tmp_path: Path) -> None:
    slots = Slots(Store(tmp_path), KEY)
    for step in (10, 20):
        save(slots, step)
    newest = Slots(Store(tmp_path), KEY).newest()
    assert newest is not None
    write("half of step", newest.folder)
    assert stands_at(tmp_path) == "step 10"


def test_the_next_takes_the_place_of_the_older(tmp_path: Path) -> None:
    first = Slots(Store(tmp_path), KEY)
    for step in (10, 20):
        save(first, step)
    second = Slots(Store(tmp_path), KEY)  # another process, after a kill
    second.newest()
    save(second, 30)
    assert sorted(piece.values["step"] for piece in Store(tmp_path).pieces()) == [20, 30]


def test_what_is_sealed_needs_none(tmp_path: Path) -> None:
    slots = Slots(Store(tmp_path), KEY)
    save(slots, 10)
    slots.remove()
    assert stands_at(tmp_path) is None
    assert Slots(Store(tmp_path), "f" * 32).newest() is None


def test_a_state_that_is_not_finite_takes_no_place(tmp_path: Path) -> None:
    slots = Slots(Store(tmp_path), KEY)
    for step in (10, 20):
        save(slots, step)

    def refuse(folder: Path) -> None:
        write("half", folder)
        raise FloatingPointError

    for step in (30, 40):
        slots.save(step, refuse)
        assert sorted(piece.values["step"] for piece in Store(tmp_path).pieces()) == [10, 20]
    save(slots, 50)  # in the place of the older
    assert sorted(piece.values["step"] for piece in Store(tmp_path).pieces()) == [20, 50]
    assert Store(tmp_path).check() == []

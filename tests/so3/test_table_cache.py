"""A table comes from disk if the file is whole and its own, and is built otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from geocore.so3 import table_cache
from geocore.so3.table_cache import cache_folder, cached_table
from geocore.so3.wigner_tables import wigner_table

BETA = torch.linspace(0.1, 3.0, 4, dtype=torch.float64)
SHAPE = (3, 2, 4)


class Builder:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> Tensor:
        self.count += 1
        return torch.arange(24, dtype=torch.float64).reshape(SHAPE).sqrt()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEOCORE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def get(build: Builder, beta: Tensor = BETA) -> Tensor:
    return cached_table(beta, SHAPE, build, least=1)


def test_built_once_for_equal_colatitudes(folder: Path) -> None:
    build = Builder()
    first, second = get(build), get(build)
    assert build.count == 1
    assert torch.equal(first, second)
    get(build, BETA + 1e-15)
    assert build.count == 2
    assert len(list(folder.iterdir())) == 2  # and no temporaries


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "longer", "of another table"])
def test_a_file_that_is_not_the_table_is_replaced(folder: Path, damage: str) -> None:
    build = Builder()
    expected = get(build)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    if damage == "of another table":
        get(build, BETA / 2)
        (other,) = set(folder.iterdir()) - {path}
        path.write_bytes(other.read_bytes())
    else:
        flipped = whole[:50] + bytes([whole[50] ^ 1]) + whole[51:]
        path.write_bytes(
            {"flipped": flipped, "cut": whole[:-8], "empty": b"", "longer": whole + b"x"}[damage]
        )
    before = build.count
    assert torch.equal(get(build), expected)
    assert build.count == before + 1
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GEOCORE_CACHE", str(tmp_path / "file"))
    build = Builder()
    assert torch.equal(get(build), get(build))
    assert build.count == 2


def test_a_full_disk_is_no_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(table_cache, "_digest", full)
    assert torch.equal(get(Builder()), Builder()())
    assert not list(folder.iterdir())


def test_small_tables_leave_the_disk_alone(folder: Path) -> None:
    wigner_table(8, BETA)
    assert not folder.exists()


def test_wigners_table_comes_back_bit_by_bit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = wigner_table(5, BETA)
    monkeypatch.setattr(cached_table, "__defaults__", (1,))
    built, read = wigner_table(5, BETA), wigner_table(5, BETA)
    assert len(list(folder.iterdir())) == 1
    assert torch.equal(built, plain)
    assert torch.equal(read, plain)


def test_where_the_folder_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEOCORE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/geocore")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # not to be heeded, says the standard
    monkeypatch.setenv("HOME", "/home/person")
    assert cache_folder() == Path("/home/person/.cache/geocore")

"""Digests: known answers, one flipped bit, and what a folder's digest sees."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from geocore.runs.digest import (
    digest_bytes,
    digest_file,
    digest_json,
    digest_path,
    digest_tree,
)


def test_it_is_blake2b_with_128_bits() -> None:
    # b2sum -l 128 </dev/null
    assert digest_bytes(b"") == "cae66941d9efbd404e4d88758ea67670"
    assert digest_bytes(b"abc") == hashlib.blake2b(b"abc", digest_size=16).hexdigest()


def test_a_file_larger_than_any_buffer_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9001
    path = tmp_path / "big"
    path.write_bytes(data)
    whole = digest_file(path)
    assert whole == digest_bytes(data)
    flipped = bytearray(data)
    flipped[-1] ^= 1
    path.write_bytes(flipped)
    assert digest_file(path) != whole


def test_json_digest_depends_on_values_not_on_order() -> None:
    assert digest_json({"a": 1, "b": [2, 3]}) == digest_json({"b": (2, 3), "a": 1})
    assert digest_json({"a": 1, "b": [2, 3]}) != digest_json({"a": 1, "b": [3, 2]})
    assert digest_json({"a": 1}) != digest_json({"a": "1"})


def test_tree_digest_sees_names_and_contents_through_links(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "x").write_bytes(b"x")
        (folder / "y").write_bytes(b"y")
    (two / "empty").mkdir()
    (two / "y").unlink()
    (two / "y").symlink_to(one / "y")  # as a cache links its files in
    assert digest_tree(one) == digest_tree(two)
    (two / "sub" / "x").rename(two / "sub" / "z")
    assert digest_tree(one) != digest_tree(two)


def test_tree_digest_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(NotADirectoryError, match="x is not a folder"):
        digest_tree(tmp_path / "x")


def test_a_path_is_digested_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    assert digest_path(tmp_path) == digest_tree(tmp_path)
    assert digest_path(tmp_path / "a") == digest_file(tmp_path / "a")

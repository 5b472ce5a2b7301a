"""Metrics, gates, curves and pictures from the bytes of their files."""

from __future__ import annotations

import math

import pytest

from geocore.errors import UserError
from geocore.report.results import TABLE_LIMIT, Results, is_data, is_result, is_table
from geocore.runs.digest import digest_bytes
from tests.report.scene import png


def test_numbers_by_their_path_and_nothing_else() -> None:
    results = Results("main")
    results.add(
        "results/evaluate/metrics.json",
        b'{"test": {"accuracy": 0.5, "n": 3, "ece": null, "nll": NaN, "worst": -Infinity},'
        b' "equivariance": {"quarter_turn": null, "quarter_turn_reason": "words",'
        b' "so3": {"stage0.block0": {"max": 1e-7}}}, "fine": true, "list": [1, 2],'
        b' "huge": 1' + b"0" * 400 + b"}",
    )
    results.add("results/metrics.json", b'{"a": 1}')
    assert results.metrics == {
        "evaluate.test.accuracy": 0.5,
        "evaluate.test.n": 3,
        "evaluate.test.ece": None,
        "evaluate.test.nll": None,
        "evaluate.test.worst": None,
        "evaluate.equivariance.quarter_turn": None,
        "evaluate.equivariance.so3.stage0.block0.max": 1e-7,
        "evaluate.huge": None,
        "a": 1,
    }


def test_gates_by_stage() -> None:
    results = Results("main")
    results.add("results/evaluate/gates.json", b'{"nll_max": {"passed": false, "value": 1}}')
    assert results.gates == {"evaluate.nll_max": {"passed": False, "value": 1}}


def test_curves_keep_columns_of_numbers() -> None:
    results = Results("main")
    results.add("results/train/curve.csv", b"epoch,val_nll,note\n0,2.5,a\n1,,b\n2,nan,c\n")
    curve = results.curves["train/curve.csv"]
    assert list(curve) == ["epoch", "val_nll"]
    assert curve["epoch"] == [0.0, 1.0, 2.0]
    assert curve["val_nll"][0] == 2.5
    assert all(map(math.isnan, curve["val_nll"][1:]))
    results.add("results/ensemble/curves.csv", b"")
    assert results.curves["ensemble/curves.csv"] == {}
    results.add("results/x/curve.csv", b"a,b\n1\n2,3,4\n")
    assert results.curves["x/curve.csv"]["a"] == [1.0, 2.0]


def test_pictures_are_png_or_nothing() -> None:
    results = Results("main")
    results.add("results/a/b/c.png", png(1))
    results.add("results/a/b/d.png", b"<svg onload=alert(1)>")
    assert list(results.pictures) == ["a/b/c.png"]


@pytest.mark.parametrize(
    ("path", "content", "line"),
    [
        (
            "results/evaluate/metrics.json",
            b"{",
            "main: results/evaluate/metrics.json: no JSON object; expected what a stage writes",
        ),
        (
            "results/evaluate/metrics.json",
            b"[" * 100_000,
            "main: results/evaluate/metrics.json: no JSON object; expected what a stage writes",
        ),
        (
            "results/evaluate/gates.json",
            b'{"nll_max": {"value": 1}}',
            "main: results/evaluate/gates.json: nll_max is no gate; expected passed",
        ),
        (
            "results/train/curve.csv",
            b"\xff\xfe",
            "main: results/train/curve.csv: no CSV; expected a table of numbers",
        ),
    ],
)
def test_a_broken_file_is_told_in_a_line(path: str, content: bytes, line: str) -> None:
    with pytest.raises(UserError) as caught:
        Results("main").add(path, content)
    assert caught.value.lines == (line,)


def test_which_files_count() -> None:
    assert is_result("results/train/curve.csv")
    assert is_result("results/evaluate/pictures/a.png")
    assert not is_result("results/evaluate/confusion.csv")
    assert not is_result("docs/pictures/a.png")
    assert is_data("results/evaluate/confusion.csv")
    assert not is_data("results/evaluate/metrics.json")
    assert not is_data("results/report/report.html")


def test_small_tables_by_their_place() -> None:
    results = Results("main")
    results.add("results/synthesize/ledger.csv", b"a\n1\n")
    results.add("results/spheres/maps.arrow", b"ARROW1")
    results.add("results/evaluate/predictions.parquet", bytes(TABLE_LIMIT + 1))
    results.add("results/train/curve.csv", b"epoch\n1\n")
    assert results.tables == {"synthesize/ledger.csv": b"a\n1\n", "spheres/maps.arrow": b"ARROW1"}
    assert is_table("results/evaluate/equivariance.parquet")
    assert not is_table("results/train/curve.csv")
    assert not is_table("data/own/x.csv")


def test_metrics_and_curves_have_the_ledger_s_digests() -> None:
    results = Results("main")
    results.add("results/train/metrics.json", b"{}")
    results.add("results/train/a.csv", b"a\n1\n")
    assert results.digests == {"results/train/metrics.json": digest_bytes(b"{}")}

"""The panel of chips: estimates apart from what was counted, a front of each."""

from __future__ import annotations

import pytest

from geocore.report.panels import chip_panel
from geocore.report.panels.chip import TABLE
from geocore.report.snapshot import Snapshot
from tests.report.panels.scenes import EVIL, ledger, page_of, row, snapshot
from tests.report.reader import Page

CHEAP = row("cheap", lut=500.0, accuracy=0.8)
DEAR = row("dear", lut=2000.0, accuracy=0.9)
BEATEN = row("beaten", lut=3000.0, accuracy=0.85)
COUNTED = row("cheap", "post-synthesis", lut=450.0, accuracy=0.8)


def run(name: str, *rows: object) -> Snapshot:
    return snapshot(name, tables={TABLE: ledger(*rows)})  # type: ignore[arg-type]


def marks(page: Page) -> list[dict[str, str | None]]:
    return [a for tag, a in page.tags if tag == "g" and (a.get("class") or "").startswith("spot")]


def test_kinds_of_evidence_have_marks_and_fronts_of_their_own() -> None:
    page = page_of(chip_panel([run("a", CHEAP, DEAR, BEATEN, COUNTED)]))
    assert page.faults == []
    assert [(a["class"] or "").split()[1] for a in marks(page)] == ["ring", "ring", "ring", "dot"]
    lines = [a for _, a in page.tags if (a.get("class") or "").startswith("line")]
    assert len(lines) == 1, "one count alone has nothing to be joined with"
    text = " ".join(page.text.split())
    assert text.count("front") == 3 + 1, "three rows, and the caption"
    for words in (
        "estimate computed before any synthesis", "post-synthesis counted before placement",
        "500 ± 10%", "6 / 7", "No variant on UltraScale+ uses a DSP.", "no tool", "yosys 1",
        "cheap, 6-bit weights, 7-bit activations, 500 ± 50 LUT, accuracy 0.8 (estimate)",
    ):  # fmt: skip
        assert words in text, words
    assert "routed" not in text


def test_runs_share_a_chart_and_families_do_not() -> None:
    here, there = run("a", CHEAP, DEAR), run("b", row(lut=900.0), row("x", lut=950.0, dsp=8.0))
    page = page_of(chip_panel([here, snapshot("none"), there]))
    assert set(page.attributes("data-run")) == {"0", "2"}
    assert page.text.count("Accuracy against LUT, UltraScale+") == 1
    assert "Accuracy against DSP, UltraScale+" in page.text
    other = run("c", row(family="ECP5", device="lfe5u-85f", metric="mIoU"))
    text = page_of(chip_panel([here, other])).text
    assert "mIoU against LUT, ECP5" in text and "Accuracy against LUT, ECP5" not in text


def test_every_row_stands_in_the_table_with_its_share_of_the_device() -> None:
    page = page_of(chip_panel([run("a", row(latency=200.0, clock_ns=5.0, float_accuracy=0.95))]))
    text = " ".join(page.text.split())
    for words in ("0.9 float 0.95", "1 µs 5 ns, assumed", "xczu9eg, UltraScale+", "0.365%"):
        assert words in text, words
    rows = [a for tag, a in page.tags if tag == "tr" and "data-run" in a]
    assert [a["data-run"] for a in rows] == ["0"]
    assert all(a.get("scope") for tag, a in page.tags if tag == "th")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"network,lut\na,1\n", ledger(CHEAP).replace(b"500", b"-5")]
)
def test_a_ledger_that_cannot_be_read_is_a_line(content: bytes) -> None:
    page = page_of(chip_panel([run("good", CHEAP), snapshot("bad", tables={TABLE: content})]))
    notes = [a for _, a in page.tags if a.get("class") == "note"]
    assert [a["data-run"] for a in notes] == ["1"]
    assert f"bad: {TABLE}" in page.text and "/tmp" not in page.text


def test_names_stay_text() -> None:
    page = page_of(chip_panel([run(EVIL, row(EVIL.strip(), network=EVIL, weight_bits=EVIL))]))
    assert page.faults == [] and page.handlers() == set() and page.fetched() == set()
    assert not page.names() & {"script", "img"}
    assert page.text.count("<script>alert(1)</script>") > 4


def test_nothing_and_equal_bytes() -> None:
    assert chip_panel([]) == "" == chip_panel([snapshot()])
    assert chip_panel([run("a", CHEAP)]) == chip_panel([run("a", CHEAP)])
    empty = chip_panel([run("a", row(accuracy=None))])
    assert "<svg viewBox" not in empty and "–" in empty

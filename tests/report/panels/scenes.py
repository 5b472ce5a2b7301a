"""Snapshots as panels get them, small enough to be counted by hand."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from geocore.edge.ledger import Row, write
from geocore.report.snapshot import Snapshot
from tests.report.reader import Page

__all__ = [
    "EVIL",
    "LAYERS",
    "error_table",
    "ledger",
    "page_of",
    "parquet",
    "row",
    "snapshot",
    "stage",
]

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}"
LAYERS = ("input", "stage", "logits")


def snapshot(name: str = "main", **changes: Any) -> Snapshot:
    return Snapshot(name, "run", **changes)


def page_of(html: str) -> Page:
    """A panel taken apart; as plain text, since pieces of markup would be escaped once more."""
    return Page(str(html))


class _Without(HTMLParser):
    """The text outside all that stands for one run."""

    def __init__(self, run: int) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self._run, self._within = "", str(run), [False]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        mine = self._run in (dict(attrs).get("data-run"), dict(attrs).get("data-runs"))
        self._within.append(mine or self._within[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        self._within.pop()

    def handle_data(self, data: str) -> None:
        self.text += "" if self._within[-1] else data


def text_without(html: str, run: int) -> str:
    """What is read of a panel whose page hides a run."""
    reader = _Without(run)
    reader.feed(str(html))
    return reader.text


def parquet(columns: Mapping[str, Sequence[Any]]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), stream)
    return stream.getvalue()


def error_table(scale: float = 1.0, **more: Any) -> bytes:
    """Two samples, three layers, two quarter turns and one of each other group.

    The error of sample ``s`` (0 or 1), layer ``l`` and the ``g``-th group is
    ``scale * l * (s + 1) * 10^(g - 4)``; floors are half of it where a grid is interpolated.
    """
    rows = []
    turns = [
        ("quarter_turn", 1, 90.0),
        ("quarter_turn", 3, 270.0),
        ("z", 0, 30.0),
        ("so3", 0, None),
    ]
    for group, element, angle in turns:
        power = ("quarter_turn", "z", "so3").index(group) - 4
        for number, layer in enumerate(LAYERS):
            for sample in (0, 1):
                error = scale * number * (sample + 1) * 10.0**power
                rows.append((sample, layer, group, element, angle, error,
                             None if group == "quarter_turn" else error / 2))  # fmt: skip
    names = ("sample", "layer", "group", "element", "angle", "error", "floor")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return parquet({**columns, **{name: [value] * len(rows) for name, value in more.items()}})


def row(variant: str = "main", evidence: str = "estimate", **changes: Any) -> Row:
    told: dict[str, Any] = {
        "network": "net", "weight_bits": "6", "activation_bits": "7", "family": "UltraScale+",
        "lut": 1000.0, "dsp": 0.0, "accuracy": 0.9, "device": "xczu9eg",
        **({"lut_error": 0.1} if evidence == "estimate" else {"tool": "yosys", "version": "1"}),
    }  # fmt: skip
    return Row(variant=variant, evidence=evidence, **{**told, **changes})


def ledger(*rows: Row) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.csv"
        write(path, rows)
        return path.read_bytes()


def stage(run: str, **changes: Any) -> dict[str, Any]:
    """What a snapshot's record tells of one stage."""
    return {
        "run": run, "state": "done", "wall_seconds": 10.0, "peak_rss_mib": 100.0, "threads": 1,
        "device": "cpu", "pieces": {"made": 1}, "seeds": {"train.seed": 3}, **changes,
    }  # fmt: skip

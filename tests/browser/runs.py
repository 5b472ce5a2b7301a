"""Runs as snapshots, made up: many that differ in what a page shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geocore.report.comparison import compare
from geocore.report.page import comparison_page
from geocore.report.snapshot import Snapshot
from tests.report.scene import png

__all__ = ["EVIL", "runs", "snapshot", "written"]

EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "'-alert(3)-'",
    "${alert(4)}",
)


def snapshot(place: int, name: str = "", **more: Any) -> Snapshot:
    """Run number ``place``: its learning rate, accuracy and loss say which it is."""
    accuracy = 0.9 + 0.004 * place
    curve = {
        "epoch": [float(epoch) for epoch in range(12)],
        "val_nll": [2.3 * math.exp(-epoch * (0.1 + 0.02 * place)) for epoch in range(12)],
        "val_accuracy": [1 - 0.9 * math.exp(-epoch * (0.1 + 0.02 * place)) for epoch in range(12)],
    }
    gate = {
        "metric": "accuracy", "value": accuracy, "bound": 0.92, "sense": "min",
        "passed": accuracy >= 0.92,
    }  # fmt: skip
    about: dict[str, Any] = {
        "commit": f"{place + 16:02x}" * 20,
        "about": f"what run {place} tried",
        "params": {
            "train.lr": round(0.001 * (place + 1), 3), "train.epochs": 12, "train.seed": place % 4,
            "model.block": ("mlp", "attention")[place % 2],
        },
        "metrics": {
            "evaluate.test.accuracy": accuracy, "evaluate.test.nll": 0.5 - 0.02 * place,
            "evaluate.test.n": 1000.0, "evaluate.test.ece": 0.01 * (1 + place % 5),
        },
        "gates": {"evaluate.accuracy_min": gate},
        "code": {"geocore/a.py": f"{place + 16:02x}" * 20},
        "data": {"data/raw": "b" * 32},
        "curves": {"train/curve.csv": curve},
        "pictures": {"evaluate/pictures/confusion.png": png(10 * place % 250, 32)},
    }  # fmt: skip
    return Snapshot(name or f"run-{place}", "revision", **{**about, **more})


def runs(count: int, **more: Any) -> list[Snapshot]:
    """So many of them."""
    return [snapshot(place, **more) for place in range(count)]


def written(folder: Path, snapshots: Sequence[Snapshot]) -> Path:
    """Their page, as the command writes it."""
    page = comparison_page(compare(snapshots, everything=True), snapshots)
    path = folder / "page.html"
    path.write_bytes(page.encode("utf-8"))
    return path

"""Runs as snapshots, made up: many that differ in what a page shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geocore.report.comparison import compare
from geocore.report.page import comparison_page
from geocore.report.panels.chip import TABLE as LEDGER
from geocore.report.panels.equivariance_errors import TABLE as ERRORS
from geocore.report.snapshot import Snapshot
from geocore.report.sphere_file import spheres_bytes
from tests.report.panels.scenes import error_table, ledger, row, stage
from tests.report.scene import png
from tests.report.spheres import classified, segmented

__all__ = ["EVIL", "complete", "runs", "snapshot", "written"]

SPHERES = "spheres/maps.arrow"
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


def complete(count: int) -> list[Snapshot]:
    """So many runs, pairs of seeds, with something in every panel; the last tells classes."""
    return [_complete(place, sphere=place < count - 1) for place in range(count)]


def _complete(place: int, *, sphere: bool) -> Snapshot:
    plain = snapshot(place)
    pair, accuracy = place // 2, plain.metrics["evaluate.test.accuracy"] or 0.0
    twins = {
        "evaluate.ensemble.test.accuracy": accuracy + 0.01,
        "evaluate.ensemble.test.nll": 0.45 - 0.02 * place,
        "evaluate.ensemble.test.members.accuracy.min": accuracy - 0.01,
        "evaluate.ensemble.test.members.accuracy.mean": accuracy + 0.002,
        "evaluate.ensemble.test.members.accuracy.max": accuracy + 0.006,
        "evaluate.ensemble.test.members.count": 4.0,
        "evaluate.ntk.test.accuracy": accuracy - 0.03,
        "laws.constructions.plane.double": 1e-15 * (1 + place),
        "laws.constructions.plane.single": 1e-7 * (1 + place),
    }
    turned = {
        "metric": "x", "value": 1e-5, "bound": 1e-4, "sense": "max", "passed": True
    }  # fmt: skip
    chip = [
        row(f"w{bits}", kind, weight_bits=str(bits), lut=200.0 * bits + 30 * place,
            accuracy=accuracy - 0.1 / bits)
        for bits in (3, 6) for kind in ("estimate", "post-synthesis")
    ]  # fmt: skip
    lock = {
        "fetch": {"deps": {}, "outs": {"data/raw": "1"}},
        "train": {"deps": {"data/raw": "1"}, "outs": {"results/train": "2"}},
        "evaluate": {"deps": {"results/train/w": "2"}, "outs": {"results/evaluate": "3"}},
    }
    ensemble = {
        "member": [float(member) for member in range(3) for _ in range(6)],
        "epoch": [float(epoch) for _ in range(3) for epoch in range(6)],
        "val_nll": [2.0 / (1 + e + 0.2 * m + 0.1 * place) for m in range(3) for e in range(6)],
    }
    return snapshot(
        place,
        params={
            "train.lr": round(0.001 * (pair + 1), 3), "train.epochs": 12, "train.seed": place % 2,
            "model.block": ("mlp", "attention")[pair % 2], "resample.nside": 8 * 2 ** (pair % 2),
        },
        metrics={**plain.metrics, **twins},
        gates={**plain.gates, "evaluate.quarter_turn_error_max": turned},
        code={"geocore/a.py": f"{pair + 16:02x}" * 20},
        curves={**plain.curves, "ensemble/curves.csv": ensemble},
        pictures={**plain.pictures, "resample/mollweide.png": png(40, 32)},
        notes=(f"what run {place} measured is older than its code: run dvc repro",),
        record={
            "stages": {name: stage(f"{name} of {place}", pieces={"made": 1, "found": place})
                       for name in lock},
            "lock": lock,
        },
        tables={
            SPHERES: spheres_bytes(segmented(8, place) if sphere else classified()),
            ERRORS: error_table(10.0 ** (-place % 3)), LEDGER: ledger(*chip),
        },
    )  # fmt: skip


def written(folder: Path, snapshots: Sequence[Snapshot]) -> Path:
    """Their page, as the command writes it."""
    page = comparison_page(compare(snapshots, everything=True), snapshots)
    path = folder / "page.html"
    path.write_bytes(page.encode("utf-8"))
    return path

"""Made-up runs with spheres, and the panel of them as a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geocore.report import rendering
from geocore.report.sphere_file import Spheres, SphereSample, Turned, spheres_bytes
from geocore.report.sphere_panel import sphere_panel

__all__ = ["CLASSES", "SCRIPTS", "classified", "panel_page", "segmented"]

CLASSES = ("sky", "ground", "pillar")
COLOURS = ("#3366cc", "#889911", "#cc2244")
SCRIPTS = (
    "spheres.js", "spheres-charts.js", "spheres-difference.js", "spheres-hands.js",
    "spheres-panel.js",
)  # fmt: skip


def waves(nside: int, seed: int, faces: int = 12) -> Any:
    """A smooth function of nested pixels, between -1 and 1."""
    generator = np.random.default_rng(seed)
    pixel = np.arange(faces * nside**2)
    inside, bits = pixel % nside**2, range(nside.bit_length() - 1)
    x = sum((inside >> 2 * bit & 1) << bit for bit in bits) / nside
    y = sum((inside >> 2 * bit + 1 & 1) << bit for bit in bits) / nside
    phase = generator.uniform(0, 6, 4)
    face = pixel // nside**2
    wave = np.sin(5 * x + phase[0] + face) * np.cos(4 * y + phase[1]) + np.sin(9 * y - 7 * x)
    return wave / 2


def _codes(wave: Any) -> Any:
    return np.digitize(wave, [-0.2, 0.4]).astype(np.uint8)


def segmented(nside: int = 8, seed: int = 0, samples: int = 2, turns: int = 4) -> Spheres:
    """Three classes; equal inputs and labels whatever the seed, predictions of its own."""
    told = []
    for sample in range(samples):
        truth, said = waves(nside, sample), waves(nside, 100 + sample + 10 * seed)
        mixed = 0.8 * truth + 0.2 * said
        unsure = (np.abs(said) * np.log(3)).astype(np.float32)
        turned = tuple(
            Turned(
                360.0 * turn / turns, turn == 0, 0.1 * turn + 0.01 * seed,
                _codes(0.8 * waves(nside, sample + turn) + 0.1 * said), _codes(mixed),
                (np.abs(said - truth) * turn / (4 * turns)).astype(np.float32),
            )
            for turn in range(turns)
        )  # fmt: skip
        power = 1 / (1 + np.arange(2 * nside + 1, dtype=np.float32)) ** 2
        told.append(
            SphereSample(
                7 * sample + 3, "", truth.astype(np.float32)[:, None] / 2 + 0.5, _codes(truth),
                _codes(mixed), unsure, turned,
                {name: power / (1 + place) for place, name in enumerate(
                    ("input", "label", "prediction", "error"))},
            )
        )  # fmt: skip
    return Spheres(
        "segmentation", nside, tuple(range(12)), CLASSES, COLOURS, f"net, nside {nside}", "z", 1.0,
        tuple(told),
    )  # fmt: skip


def classified(nside: int = 4) -> Spheres:
    """Three classes, one sample."""
    values = np.array([0.7, 0.2, 0.1], np.float32)
    turns = tuple(
        Turned(90.0 * n, True, 0.2 * n, values[::-1].copy() if n else values, values,
               np.array([0.6], np.float32))
        for n in range(4)
    )  # fmt: skip
    sample = SphereSample(
        5, "", (waves(nside, 0)[:, None] / 2 + 0.5).astype(np.float32), np.array([0], np.uint8),
        values, np.array([0.8], np.float32), turns, {"input": np.ones(9, np.float32)},
    )  # fmt: skip
    return Spheres(
        "classification", nside, tuple(range(12)), CLASSES, COLOURS, "net", "z", 0.5, (sample,)
    )


def panel_page(path: Path, runs: Sequence[tuple[str, Spheres | bytes]]) -> Path:
    """A page with the panel alone, written to ``path``."""
    given = [(n, s if isinstance(s, bytes) else spheres_bytes(s)) for n, s in runs]
    folder = Path(rendering.__file__).parent / "templates"
    styles = "".join((folder / name).read_text() for name in ("style.css", "spheres.css"))
    scripts = "".join(f"<script>{(folder / name).read_text()}</script>" for name in SCRIPTS)
    path.write_text(
        '<!DOCTYPE html><html lang="en" class="js"><head><meta charset="utf-8">'
        f"<title>spheres</title><style>{styles}</style></head><body>"
        f'<div class="page">{sphere_panel(given)}</div>{scripts}</body></html>',
        encoding="utf-8",
    )
    return path

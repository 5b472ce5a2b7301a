"""What ``geocore estimate synthesize`` says: a row a variant, from the section and the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocore.cli.estimate_chip import document, show
from geocore.config.runtime import RuntimeParams
from geocore.config.synthesize import SynthesizeParams
from geocore.errors import UserError
from geocore.pipeline.progress import Progress
from geocore.pipeline.stage import Job
from geocore.pipeline.synthesis_estimate import estimate_variants
from geocore.pipeline.synthesize import STAGE
from geocore.runs.digest import digest_file
from geocore.runs.store import Store
from tests.pipeline.stages import blobs, write_raw

SECTION: dict[str, Any] = {
    "network": "blocks", "channels": (3, 4), "weight_bits": 6, "activation_bits": 5,
    "input_bits": 5, "layer_bits": (), "sparsity": 0.0, "seed": 0, "epochs": 2,
    "quantised_epochs": 1, "batch_size": 8, "lr": 0.01, "class_weights": "none",
    "variants": (
        {"name": "half", "sparsity": 0.5}, {"name": "three", "weight_bits": 3},
        {"name": "ternary", "weight_bits": "ternary"},
    ),
    "ways": ("verilog",), "images": 100, "streamed": 4, "dense_cycles": None, "vectors": 500,
    "io_type": "io_stream", "strategy": "Latency", "reuse_factor": 1, "reuse_factors": (),
    "backend": "Vitis", "clock_period": 5.0, "part": "xczu9eg-ffvb1156-2-e",
}  # fmt: skip


def job_in(root: Path, **changes: Any) -> Job:
    params = SynthesizeParams.model_validate(SECTION | changes)
    table = root / "data/raw/table.json"
    return Job(
        stage=STAGE,
        root=root,
        sections={
            "synthesize": params,
            "runtime": RuntimeParams(
                device="cpu", threads=1, workers=1, checkpoint_every=2, progress=False
            ),
        },
        values={},
        inputs={"raw": digest_file(table)} if table.exists() else {},
        store=Store(root / ".geocore"),
        work=root / "work",
        key="key",
        code="code",
        progress=Progress(False),
    )  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    split = (np.arange(30) // 3 % 3).astype(np.uint8)
    write_raw(tmp_path / "data/raw", blobs(30, 12, 12, 1), split=split)
    return tmp_path


def test_every_variant_is_estimated_and_nothing_is_left(root: Path) -> None:
    found = {one.variant: one.estimate for one in estimate_variants(job_in(root))}
    assert list(found) == ["main", "half", "three", "ternary"]
    luts = {name: one.total.lut.value for name, one in found.items()}
    assert luts["ternary"] < luts["three"] < luts["main"] and luts["half"] < luts["main"]
    for one in found.values():
        assert one.interval.value >= 144 and one.latency.value > 100
        assert 0 < one.total.lut.relative < 0.5
    assert not (root / ".geocore").exists() and not (root / "results").exists()


def test_equal_sections_give_equal_estimates(root: Path) -> None:
    first, again = (estimate_variants(job_in(root)) for _ in range(2))
    assert first == again
    assert estimate_variants(job_in(root, seed=1))[0].estimate != first[0].estimate


def test_a_layer_may_have_bits_of_its_own(root: Path) -> None:
    plain = estimate_variants(job_in(root))[0].estimate
    name = next(node for node in plain.areas if node.startswith("convolution"))
    fine = estimate_variants(job_in(root, layer_bits=((name, 2, 5),)))[0].estimate
    assert fine.areas[name].lut.value < plain.areas[name].lut.value


def test_a_table_and_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = job_in(root)
    found = estimate_variants(job)
    show(job, found)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["variant", "LUT", "of", "the", "part", "FF", "cycles", "interval"]
    assert [row[0] for row in rows[1:5]] == ["main", "half", "three", "ternary"]
    value = found[0].estimate.total.lut.value
    assert float(rows[1][1].replace(",", "")) == pytest.approx(value, rel=0.006)
    assert rows[1][2] == "+-" and rows[1][4].endswith("%")
    told = json.loads(json.dumps(document(job, found)))
    assert [one["variant"] for one in told["variants"]] == ["main", "half", "three", "ternary"]
    assert told["variants"][0]["lut"]["value"] == value
    nodes = told["variants"][0]["nodes"].values()
    assert sum(node["value"] for node in nodes) == pytest.approx(value)


def test_what_only_training_tells_is_named_and_slices_are_left_out(root: Path) -> None:
    variants = (
        {"name": "fewer", "filter_error": 0.1, "search_rise": 0.05},
        {"name": "wide", "multipliers": "dsp", "weight_bits": 16},
    )
    found = estimate_variants(job_in(root, variants=variants))
    assert [(one.variant, one.ignored) for one in found] == [
        ("main", ()), ("fewer", ("filter_error", "search_rise")),
    ]  # fmt: skip
    assert found[0].estimate == found[1].estimate


def test_a_part_that_nobody_knows_has_no_share(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = job_in(root, part="xc7z020-clg400-1", variants=())
    show(job, estimate_variants(job))
    assert "%" not in capsys.readouterr().out


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="data/raw"):
        estimate_variants(job_in(tmp_path))

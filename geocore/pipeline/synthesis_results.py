"""What ``synthesize`` tells: figures of every variant, the ledger's rows, tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from geocore.config.synthesize import MAIN, SynthesizeParams, Variant
from geocore.edge.description import QuantisedModel
from geocore.edge.device import named_part
from geocore.edge.estimate import Estimate
from geocore.edge.hls_profile import Spread, What, bit_bars
from geocore.edge.layers import parameters
from geocore.edge.ledger import EVIDENCE, Row
from geocore.edge.pareto import points
from geocore.edge.vendor import VendorReport
from geocore.pipeline.predictions import Predictions
from geocore.pipeline.synthesis_open import Netlists, Simulation
from geocore.pipeline.synthesis_scores import Scores
from geocore.report.bar_chart import bar_chart
from geocore.report.canvas import Picture
from geocore.report.scatter_chart import Spot, scatter_chart

__all__ = ["Found", "headline", "ledger_rows", "metrics_of", "pictures", "prediction_table"]

FAMILY = "UltraScale+"
_BATCHES = (1, 10)  # images, as in 2205.07690
Splits = Mapping[str, Scores]


@dataclass(frozen=True)
class Found:
    """What came of a variant: ``mismatches`` of so many images ``asked`` of the firmware.

    Without an ``estimate`` where its multipliers are DSP slices, of which none is made. ``vendor``
    is what the vendor's tools said, where they are on this machine.
    """

    variant: Variant
    model: QuantisedModel
    scores: Splits
    estimate: Estimate | None
    reuse_factors: Mapping[str, int]
    filters: Mapping[str, int]
    search: Sequence[Mapping[str, float]]
    asked: int = 0
    mismatches: int = 0
    firmware: Scores | None = None
    simulation: Simulation | None = None
    netlists: Netlists | None = None
    vendor: VendorReport | None = None

    @property
    def checked(self) -> bool:
        """Whether firmware or simulated hardware was held against the reference."""
        return self.asked > 0 or self.simulation is not None

    @property
    def differing(self) -> int:
        """Samples on which one of them is not the reference."""
        return self.mismatches + (self.simulation.mismatches if self.simulation else 0)

    @property
    def sparsity(self) -> float:
        """The share of the weights that are 0."""
        zeros = sum(int((node.weight == 0).sum()) for node in self.model.weighted)
        return zeros / sum(node.weight.numel() for node in self.model.weighted)


def metrics_of(
    params: SynthesizeParams, floats: Splits, found: Mapping[str, Found]
) -> dict[str, Any]:
    """``metrics.json``: the main variant by split, then each variant under its own name.

    ``mismatches`` counts the test samples on which a variant's firmware or simulated hardware is
    not the reference, bit by bit; ``accuracy_loss`` is what the quantised network loses to the
    float one, in accuracy or in mean IoU.
    """
    main = found[MAIN]
    metrics: dict[str, Any] = {}
    for split in ("val", "test"):
        metrics[split] = {
            "float": floats[split].headline,
            "quantised": main.scores[split].headline,
            "accuracy_loss": floats[split].score - main.scores[split].score,
        }
    if main.firmware is not None:
        metrics["test"]["firmware"] = main.firmware.headline
    if any(one.checked for one in found.values()):
        metrics["test"]["mismatches"] = sum(one.differing for one in found.values())
    return metrics | {
        "float": {split: scores.about() for split, scores in floats.items()},
        "variants": {
            name: _variant(params, floats, one) | _against(name, found)
            for name, one in found.items()
        },
        "parameters": parameters(main.model),
        "input_bits": params.input_bits,
        "multiplications": sum(map(main.model.multiplications, main.model.weighted)),
        "bit_operations": sum(map(main.model.bit_operations, main.model.weighted)),
    }


def _variant(params: SynthesizeParams, floats: Splits, found: Found) -> dict[str, Any]:
    about: dict[str, Any] = {
        "weight_bits": found.variant.weight_bits,
        "activation_bits": found.variant.activation_bits,
        "sparsity": found.sparsity,
        "accuracy_loss": floats["test"].score - found.scores["test"].score,
        "bit_operations": sum(map(found.model.bit_operations, found.model.weighted)),
        **{split: scores.about() for split, scores in found.scores.items()},
        "filters": dict(found.filters),
        "search": list(found.search),
    }
    if found.estimate is not None:
        about["estimate"] = _estimated(found.estimate)
    if found.asked:
        about["firmware"] = {"images": found.asked, "mismatches": found.mismatches}
    if found.simulation is not None:
        about["simulation"] = asdict(found.simulation)
        about["milliseconds"] = _milliseconds(found.simulation, params.clock_period)
    if found.netlists is not None:
        about["netlists"] = {
            "total": asdict(found.netlists.total),
            "modules": {node: asdict(one) for node, one in found.netlists.resources.items()},
            "vectors": dict(found.netlists.vectors),
            "tool": found.netlists.tool,
        }
    if found.vendor is not None:
        about["vendor"] = asdict(found.vendor)
    return about


def _milliseconds(simulation: Simulation, clock_ns: float) -> dict[str, float]:
    """From the first pixel to the last word of images back to back, at a clock that is assumed.

    ``batch_n = (latency + (n - 1) interval) clock``.
    """
    times = {"clock_ns": clock_ns}
    for images in _BATCHES:
        cycles = simulation.latency + (images - 1) * simulation.interval
        times[f"batch_{images}"] = float(f"{cycles * clock_ns * 1e-6:.6g}")
    return times


def _against(name: str, found: Mapping[str, Found]) -> dict[str, Any]:
    """What a netlist takes less than that of the first variant with its products in DSP slices.

    ``dsp`` and ``lut`` are ``mine / its - 1``: -0.97 is 97 % less. Nothing without such a variant.
    """
    baseline = next(
        (key for key, one in found.items() if one.variant.products and one.netlists), None
    )
    mine = found[name].netlists
    if baseline is None or baseline == name or mine is None:
        return {}
    theirs = found[baseline].netlists
    assert theirs is not None
    less = {
        resource: getattr(mine.total, resource) / getattr(theirs.total, resource) - 1
        for resource in ("dsp", "lut")
        if getattr(theirs.total, resource)
    }
    lost = found[baseline].scores["test"].score - found[name].scores["test"].score
    return {"against": {"variant": baseline, **less, "score_lost": lost}}


def _estimated(estimate: Estimate) -> dict[str, Any]:
    area = estimate.total
    figures = {
        "lut": area.lut, "ff": area.ff, "dsp": area.dsp, "bram": area.bram,
        "latency": estimate.latency, "interval": estimate.interval,
    }  # fmt: skip
    return {
        name: {"value": _told(one.value), "standard_error": _told(one.error)}
        for name, one in figures.items()
    }


def _told(value: float) -> float:
    """An estimate in four digits: more of them say nothing."""
    return float(f"{value:.4g}")


def headline(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that a run's manifest names."""
    test = metrics["test"]
    return {
        "score": next(iter(test["quantised"].values())),
        "accuracy_loss": test["accuracy_loss"],
        **({"mismatches": test["mismatches"]} if "mismatches" in test else {}),
    }


def ledger_rows(params: SynthesizeParams, floats: Splits, found: Mapping[str, Found]) -> list[Row]:
    """An estimate of every variant, and what was counted of those that were synthesised.

    A vendor's row is of what it placed and routed: its compiler's own estimate stands in the
    metrics alone.
    """
    device = named_part(params.part)
    rows = []
    for name, one in found.items():
        common: dict[str, Any] = {
            "network": params.network,
            "variant": name,
            "weight_bits": _words(one, "weight"),
            "activation_bits": _words(one, "activation"),
            "family": FAMILY,
            "device": device,
            "clock_ns": params.clock_period,
            "sparsity": one.sparsity,
            "metric": "mIoU" if params.dense else "accuracy",
            "accuracy": one.scores["test"].score,
            "float_accuracy": floats["test"].score,
        }
        if one.estimate is not None:
            total, lut = one.estimate.total, one.estimate.total.lut
            rows.append(
                Row(
                    **common,
                    evidence="estimate",
                    lut=_told(lut.value), ff=_told(total.ff.value),
                    dsp=_told(total.dsp.value), bram=_told(total.bram.value),
                    latency=_told(one.estimate.latency.value),
                    interval=_told(one.estimate.interval.value),
                    lut_error=float(f"{lut.relative:.3g}"),
                )
            )  # fmt: skip
        if one.netlists is not None:
            counted, simulated = one.netlists.total, one.simulation
            tool, version = one.netlists.tool.rsplit(" ", 1)
            rows.append(
                Row(
                    **common,
                    evidence="post-synthesis",
                    lut=counted.lut, ff=counted.ff, dsp=counted.dsp, bram=counted.bram,
                    latency=None if simulated is None else simulated.latency,
                    interval=None if simulated is None else simulated.interval,
                    tool=tool, version=version,
                )
            )  # fmt: skip
        if one.vendor is not None and one.vendor.resources is not None and device:
            routed, timing, said = one.vendor.resources, one.vendor.timing, one.vendor.estimate
            assert timing is not None  # both reports are of one run
            tool, version = timing.tool.split(" ", 1)
            told = common | {"clock_ns": timing.period - timing.slack, "clock_kind": "routed"}
            rows.append(
                Row(
                    **told,
                    evidence="vendor",
                    lut=routed.lut, ff=routed.ff, dsp=routed.dsp, bram=routed.bram,
                    latency=said.latency, interval=said.interval,
                    tool=tool, version=version,
                )
            )  # fmt: skip
    return rows


def _words(found: Found, kind: str) -> str:
    """``6``, ``binary``, or ``3 to 8`` where layers differ."""
    if kind == "weight":
        special = found.variant.weight_bits
        if isinstance(special, str) and not found.variant.layer_bits:
            return special
        bits = {node.weight_format.bits for node in found.model.weighted}
    else:
        bits = {node.output.bits for node in found.model.weighted if node.output is not None}
    return str(min(bits)) if len(bits) == 1 else f"{min(bits)} to {max(bits)}"


def pictures(
    rows: list[Row], found: Mapping[str, Found], ranges: Sequence[Spread]
) -> dict[str, Picture]:
    """What the score costs in LUTs, each kind of evidence with a mark of its own; searches of bits:
    the loss without retraining against estimated LUTs; of the main variant's layers the bits that
    weights and values are given, and those that they use (``ranges``).
    """
    shown = points(rows, "lut")
    metric = rows[0].metric
    spots = [
        Spot(
            point.cost, point.accuracy, point.row.evidence, point.best,
            None if point.row.lut_error is None else point.row.lut_error * point.cost,
        )
        for point in shown
    ]  # fmt: skip
    chart = scatter_chart(
        {rows[0].network: spots}, EVIDENCE, f"{metric} against LUTs", "LUT", metric
    )
    drawn = {"pareto_lut": chart}
    kinds: tuple[What, ...] = ("weights", "values")
    for what in kinds:
        names, bars = bit_bars(ranges, what)
        drawn[f"bits_{what}"] = bar_chart(names, bars, f"Bits of {what}, layer by layer", "bits")
    searches = {
        name: [Spot(point["luts"], point["loss"], "estimate") for point in one.search]
        for name, one in found.items()
        if one.search
    }
    if searches:
        title = "Fewer bits, layer by layer: calibration loss without retraining"
        drawn["bit_search"] = scatter_chart(searches, EVIDENCE, title, "LUT", "loss")
    return drawn


def prediction_table(found: Mapping[str, Mapping[str, Predictions]]) -> pa.Table:
    """A row a model, split and sample: what each of them says of it."""
    tables = []
    for name, by_split in found.items():
        for split, said in by_split.items():
            classes = said.logits.shape[1]
            columns = {
                "model": pa.array([name] * len(said.labels)),
                "split": pa.array([split] * len(said.labels)),
                "sample": said.samples.numpy(),
                "label": said.labels.numpy(),
                "predicted": said.predicted.numpy(),
            }
            for column, values in (("logits", said.logits), ("probabilities", said.probabilities)):
                flat = pa.array(values.numpy().reshape(-1))
                columns[column] = pa.FixedSizeListArray.from_arrays(flat, classes)
            tables.append(pa.table(columns))
    return pa.concat_tables(tables).combine_chunks()

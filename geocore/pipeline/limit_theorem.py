"""Task ``theorem``: whole orbits teach what the symmetrised kernel knows, at every time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from geocore.config.limit import TheoremLimit
from geocore.kernels.augmented import TheoremReport, check_theorem
from geocore.kernels.composed import InfiniteNetwork
from geocore.kernels.protocol import described
from geocore.kernels.regression import targets
from geocore.kernels.symmetrised import SymmetrisedKernel
from geocore.pipeline.limit_networks import dense_network, invariant_network, plain_network
from geocore.pipeline.limit_results import LimitResults, told
from geocore.pipeline.limit_samples import digits_task, ising_task, with_channel
from geocore.pipeline.orbit_task import OrbitTask
from geocore.pipeline.piece import make_part
from geocore.pipeline.stage import Job
from geocore.report.canvas import Picture
from geocore.report.line_chart import Mark, line_chart

__all__ = ["broken", "measured"]

_KINDS: tuple[Literal["ntk", "nngp"], ...] = ("ntk", "nngp")
_CODE = ("geocore.pipeline.limit_theorem",)
_LEAST = 1e-17  # what a difference of 0 is drawn as
_FIGURES = ("on", "off", "control", "orbit_augmented", "orbit_symmetrised", "orbit_control")
Reports = Mapping[str, Mapping[str, TheoremReport]]
"""By network and kernel."""


def measured(job: Job, params: TheoremLimit) -> LimitResults:
    """Both sides at five times, on and off the data, and the group network's kernel beside them."""
    task = _task(params)
    networks = {
        "dense": dense_network(params.depth),
        "convolutional": plain_network(params.depth),
    }
    reports: dict[str, dict[str, TheoremReport]] = {}
    parts: list[str] = []
    with job.progress.bar("limit: theorem", 2 * len(networks) + 1) as bar:
        for name, network in networks.items():
            reports[name] = {}
            for kind in _KINDS:
                report, key = _report(job, params, task, network, kind)
                reports[name][kind] = report
                parts.append(key)
                bar.advance(note=f"{name}, {kind}")
        group_off = _group_off(params, task)
        bar.advance()
    document: dict[str, Any] = {
        "group": "C4",
        "worst": told(max(r.disagreement for by in reports.values() for r in by.values()), 3),
        "least_control": told(min(r.contrast for by in reports.values() for r in by.values()), 3),
        "group_network_off": told(group_off, 3),
    }
    for name, by_kind in reports.items():
        document[name] = {
            kind: {
                "disagreement": told(report.disagreement, 3),
                "control": told(report.contrast, 3),
                "joint": told(report.joint, 3),
            }
            for kind, report in by_kind.items()
        }
    return LimitResults(
        document,
        ("network", "kernel", "time", *_FIGURES),
        list(_rows(reports)),
        {name: _picture(name, by_kind["ntk"]) for name, by_kind in reports.items()},
        broken=broken(reports, group_off, params.law_max),
        parts=parts,
    )


def broken(reports: Reports, group_off: float, law_max: float) -> list[str]:
    """A line for each network and kernel that misses its law."""
    lines = [
        f"limit: the {kind} of {name}: what learns from whole orbits is off the symmetrised "
        f"predictor by {report.disagreement:.4g}; expected at most {law_max:g} (limit.law_max)"
        for name, by_kind in reports.items()
        for kind, report in by_kind.items()
        if not report.disagreement <= law_max
    ]
    if not group_off <= law_max:
        lines.append(
            f"limit: the kernels of the network over C4 are off the symmetrised plain ones by "
            f"{group_off:.4g}; expected at most {law_max:g} (limit.law_max)"
        )
    return lines


def _task(params: TheoremLimit) -> OrbitTask:
    if params.side is None:
        return digits_task(params.train, params.test, params.seed)
    return ising_task(params.side, params.train, params.test, params.seed)


def _samples(task: OrbitTask) -> tuple[Tensor, Tensor, Tensor]:
    """Images, targets, and what is asked off the data: test inputs and those unlike any."""
    x, asked = task.inputs, torch.cat(list(task.asked.values()))
    if x.ndim == 3:
        x, asked = with_channel(x), with_channel(asked)
    y = targets(task.targets, task.outputs) if task.classifies else task.targets
    return x, y, asked


def _report(
    job: Job,
    params: TheoremLimit,
    task: OrbitTask,
    network: InfiniteNetwork,
    kind: Literal["ntk", "nngp"],
) -> tuple[TheoremReport, str]:
    """One part: the matrices are small, and are needed together."""

    def fill(folder: Path) -> dict[str, Any]:
        del folder
        x, y, asked = _samples(task)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return asdict(check_theorem(network, task.part("C4"), x, y, asked, kind=kind))
        finally:
            torch.set_num_threads(threads)

    part = make_part(
        job,
        "limit-theorem",
        fill,
        parameters={"network": described(network), "kind": kind},
        inputs={"task": task.digest},
        code=_CODE,
        dtype="float64",
    )
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in part.values.items()
    }
    return TheoremReport(**values), part.key


def _group_off(params: TheoremLimit, task: OrbitTask) -> float:
    """``Theta_GCNN = mean_g Theta(x, g x')``: the largest difference over the root mean square."""
    x, _, asked = _samples(task)
    some = asked[: min(len(asked), 16)]
    one = invariant_network(params.depth, 4).kernel(some, x[:16])
    two = SymmetrisedKernel(plain_network(params.depth), task.part("C4")).kernel(some, x[:16])
    return max(
        float((a - b).abs().max() / b.square().mean().sqrt()) for a, b in zip(one, two, strict=True)
    )


def _rows(reports: Reports) -> Iterator[list[Any]]:
    for name, by_kind in reports.items():
        for kind, report in by_kind.items():
            for place, time in enumerate(report.times):
                yield [name, kind, time, *(getattr(report, key)[place] for key in _FIGURES)]


def _picture(name: str, report: TheoremReport) -> Picture:
    lines = {
        "augmented, on the data": report.on,
        "augmented, off the data": report.off,
        "without orbits, off the data": report.control,
    }
    return line_chart(
        {
            line: [
                Mark(time, max(value, _LEAST))
                for time, value in zip(report.times, values, strict=True)
            ]
            for line, values in lines.items()
        },
        f"Difference from the symmetrised predictor, {name} network",
        "time of gradient flow",
        "relative difference",
    )

"""The body of ``timings``: every construction forward and back, on the CPU, in float32."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import torch
from torch import Tensor

from geocore.config.laws import LawsParams
from geocore.config.timings import TimingsParams
from geocore.pipeline.constructions import Case, constructions
from geocore.pipeline.stage import Job, Manifest
from geocore.pipeline.stopwatch import machine, seconds
from geocore.runs.atomic import replacing, write_text
from geocore.runs.digest import digest_path

__all__ = ["ConstructionCost", "cost", "measure"]

_LEAST = 0.02  # seconds that a timing takes at least: there are many constructions


@dataclass(frozen=True)
class ConstructionCost:
    """Numbers that are learned, and milliseconds of a forward pass and of one with gradients."""

    parameters: int
    forward: float
    both: float


def measure(job: Job) -> Manifest:
    """Write ``table.csv``; the machine goes to the ledger.

    Raises ``UserError`` where escnn is not installed.
    """
    laws, params, rows = job.section(LawsParams), job.section(TimingsParams), constructions()
    job.note(machine=machine())
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["construction", "parameters", "forward_ms", "forward_and_backward_ms"])
    with job.progress.bar("timings", len(rows)) as bar:
        for row in rows:
            found = cost(row.build(laws, torch.float32), params)
            times = (f"{value:.3g}" for value in (found.forward, found.both))
            writer.writerow([row.name, found.parameters, *times])
            bar.advance(note=row.name)
    with replacing(job.output("table")) as table:
        write_text(table, stream.getvalue())
    return {"files": {"table.csv": digest_path(job.output("table"))}, "constructions": len(rows)}


def cost(case: Case, params: TimingsParams) -> ConstructionCost:
    """The cost of one construction on ``params.batch`` samples, medians over ``params.repeats``.

    With gradients the sum of the output's squares goes back to weights and input.
    """
    x = case.sample(params.batch)
    differentiable = x.clone().requires_grad_()

    def forward() -> None:
        with torch.no_grad():
            case.module(x)

    def both() -> None:
        differentiable.grad = None
        case.module.zero_grad()
        _energy(case.module(differentiable)).backward()

    learned = sum(parameter.numel() for parameter in case.module.parameters())
    times = (seconds(call, params.repeats, at_least=_LEAST) for call in (forward, both))
    return ConstructionCost(learned, *(1000 * taken for taken in times))


def _energy(output: Tensor) -> Tensor:
    real = torch.view_as_real(output) if output.is_complex() else output
    return real.square().sum()

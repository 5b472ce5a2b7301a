"""The table of ``geocore estimate synthesize``: variants, and what they are estimated to take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from geocore.edge.estimate import Figure
    from geocore.pipeline.stage import Job
    from geocore.pipeline.synthesis_estimate import Planned

__all__ = ["document", "show"]


def document(job: Job, found: Sequence[Planned]) -> dict[str, Any]:
    """As JSON: every figure with its standard error."""

    def told(figure: Figure) -> dict[str, float]:
        return {"value": figure.value, "standard_error": figure.error}

    return {
        "stage": job.stage.name,
        "study": job.study,
        "variants": [
            {
                "variant": one.variant,
                "part": one.part,
                "ignored": list(one.ignored),
                "lut": told(one.estimate.total.lut),
                "ff": told(one.estimate.total.ff),
                "latency": told(one.estimate.latency),
                "interval": told(one.estimate.interval),
                "nodes": {name: told(area.lut) for name, area in one.estimate.areas.items()},
            }
            for one in found
        ],
    }


def show(job: Job, found: Sequence[Planned]) -> None:
    """A row a variant."""
    from rich.console import Console
    from rich.table import Table

    from geocore.edge.device import require_fits
    from geocore.errors import UserError

    table = Table(box=None, header_style="", pad_edge=False)
    table.add_column("variant", no_wrap=True)
    for head in ("LUT", "of the part", "FF", "cycles", "interval"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in found:
        area, whole = one.estimate.total, one.whole
        share = "" if whole is None else f"{area.lut.value / whole.lut:.1%}"
        table.add_row(
            one.variant,
            _told(area.lut),
            share,
            _told(area.ff),
            _told(one.estimate.latency),
            _told(one.estimate.interval),
        )
    Console(width=100).print(table)
    typer.echo(
        f"\nOf {job.params_file}, in the open flow, with weights as they begin: trained ones may "
        "take a tenth\nmore or less; queues before joins come on top. No DSP slices and no blocks "
        "of memory. After +- stands the\nstandard error."
    )
    for one in found:
        try:
            if one.part:
                require_fits(one.estimate.total.resources, one.part)
        except UserError as error:
            typer.echo(f"{one.variant}: {error}")
        if one.ignored:
            left = " and ".join(one.ignored)
            typer.echo(
                f"{one.variant}: without {left}, which training alone tells: an upper bound."
            )


def _told(figure: Figure) -> str:
    """``63,100 +- 5,400``, the value in three digits."""
    value = float(f"{figure.value:.3g}") if figure.error > 10 else figure.value
    error = float(f"{figure.error:.2g}")
    return f"{value:,.0f} +- {error:,.0f}" if error else f"{value:,.0f}"

"""``geocore card``: a page on a trained network, from what its run recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geocore.cli.completing import complete_name
from geocore.cli.output import mistakes

__all__ = ["card"]


def card(
    name: Annotated[
        str,
        typer.Argument(
            help="A git revision, an experiment, a run, or `workspace`.",
            autocompletion=complete_name,
        ),
    ] = "workspace",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write it there; by default it is printed."),
    ] = None,
) -> None:
    """Write the model card of a run: its network, data, figures, symmetry, cost and origin."""
    from geocore.cli.target import check_target, write_target
    from geocore.report.card import model_card
    from geocore.report.reading import read_snapshot
    from geocore.runs.home import project_root

    with mistakes():
        if output is not None:
            check_target(output, as_json=False)
        text = model_card(read_snapshot(project_root(), name))
        if output is not None:
            write_target(output, text)
            return
    typer.echo(text, nl=False)

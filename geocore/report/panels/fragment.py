"""A template of ``templates/panels`` to a piece of a page, and the words that panels share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geocore.report.rendering import render
from geocore.report.snapshot import Snapshot

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["Owner", "fragment", "owners", "short"]


@dataclass(frozen=True)
class Owner:
    """Whose a row, a line or a mark is: a snapshot's place among all of them, and its name."""

    index: int
    name: str


def owners(snapshots: Sequence[Snapshot]) -> list[Owner]:
    """One for each snapshot, in their order."""
    return [Owner(index, snapshot.name) for index, snapshot in enumerate(snapshots)]


def fragment(panel: str, **values: Any) -> Markup:
    """The piece that ``templates/panels/PANEL.html.jinja`` makes of ``values``; all of them text.

    A template that has nothing to show gives ``''``. Raises ``UserError`` if Jinja2 is not
    installed.
    """
    text = render(f"panels/{panel}.html.jinja", **values)
    from markupsafe import Markup  # comes with Jinja2, which is an extra

    return Markup(text if text.strip() else "")


def short(value: float | None) -> str:
    """A number in three digits, ``0`` for none at all, a dash where it is not known."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return "0" if value == 0 else f"{value:.3g}"

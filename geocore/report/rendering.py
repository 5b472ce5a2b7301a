"""Templates to pages: every value escaped, nothing undefined passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geocore.errors import UserError
from geocore.report.curve_chart import FRAME, HEIGHT, WIDTH
from geocore.report.words import plain
from geocore.runs.digest import digest_tree

__all__ = ["render", "template_digest"]

_TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """The page that a template of ``templates/`` makes of ``values``.

    Raises ``UserError`` if Jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise UserError(
            "jinja2 is not installed, and a page needs it: pip install 'geocore[report]'"
        ) from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: plain(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"frame": FRAME, "chart_width": WIDTH, "chart_height": HEIGHT}
    return environment.get_template(template).render(**values)


def template_digest() -> str:
    """One digest of all templates and the style sheet: a page depends on them as on code."""
    return digest_tree(_TEMPLATES)

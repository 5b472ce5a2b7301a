"""Templates to pages: every value escaped, nothing undefined passed over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geocore.errors import UserError
from geocore.report.curve_chart import FRAME, HEIGHT, WIDTH
from geocore.report.programs import Script, plotly, policy, script_json, scripts_of
from geocore.report.words import plain
from geocore.runs.digest import digest_bytes, digest_json, digest_tree

__all__ = ["check_installed", "render", "template_digest"]

_TEMPLATES = Path(__file__).parent / "templates"


def render(
    template: str,
    *,
    styles: Sequence[str] = ("style.css",),
    programs: Sequence[str] = (),
    library: Script | None = None,
    data: Any = None,
    **values: Any,
) -> str:
    """The page that a template of ``templates/`` makes of ``values``.

    ``styles`` and ``programs`` are files of ``templates/`` that are put into it, those that are
    there; ``data`` is the JSON that they read. The ``library`` lies in the page as text, to be run
    by the program that first needs it: a page is seen before 5 MB of it are read. Raises
    ``UserError`` if Jinja2 is not installed.
    """
    check_installed()
    import jinja2
    from markupsafe import Markup

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
    scripts = scripts_of(_TEMPLATES, programs)
    sheets = [_TEMPLATES / name for name in styles if (_TEMPLATES / name).is_file()]
    return environment.get_template(template).render(
        policy=policy([*([library] if library else []), *scripts]),
        library=Markup(library.text) if library else "",
        styles=[Markup(sheet.read_text(encoding="utf-8")) for sheet in sheets],
        scripts=[Markup(script.text) for script in scripts],
        data=Markup(script_json(data)),
        **values,
    )


def check_installed() -> None:
    """Raise ``UserError`` in one line if Jinja2, an extra, is not there."""
    try:
        import jinja2  # noqa: F401
    except ImportError:
        raise UserError(
            "jinja2 is not installed, and a page needs it: pip install 'geocore[report]'"
        ) from None


def template_digest() -> str:
    """One digest of all templates, style sheets and scripts, Plotly's among them.

    A page depends on them as on code.
    """
    library = plotly()
    told = "" if library is None else digest_bytes(library.text.encode("utf-8"))
    return digest_json([digest_tree(_TEMPLATES), told])

"""Scripts and data inside a page: which may run, and data that is never taken for markup.

A page runs the scripts that were put into it and no other: its Content-Security-Policy lists
their SHA-256 digests. Data stands in ``<script type="application/json">``, where no character
ends the element early, and the scripts put it into the page as text.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from geocore.report.words import plain

__all__ = ["Script", "plotly", "policy", "script_json", "scripts_of"]

_NOWHERE = "default-src 'none'; base-uri 'none'; form-action 'none'; "
_STATIC = f"{_NOWHERE}style-src 'unsafe-inline'; img-src data:"
_ACTIVE = f"{_NOWHERE}img-src data: blob:; style-src 'unsafe-inline'; script-src "
_ESCAPED = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Script:
    """The text of an inlined script, safe between its tags, and the file it came from."""

    name: str
    text: str

    @cached_property
    def digest(self) -> str:
        """``sha256-...``, as a Content-Security-Policy names it."""
        raw = hashlib.sha256(self.text.encode("utf-8")).digest()
        return f"sha256-{base64.b64encode(raw).decode('ascii')}"


def scripts_of(folder: Path, names: Sequence[str]) -> list[Script]:
    """The scripts of ``folder`` that are there, in the order of ``names``."""
    there = [folder / name for name in names if (folder / name).is_file()]
    return [_script(path) for path in there]


def plotly() -> Script | None:
    """Plotly's program as its package ships it; None if that is not installed."""
    spec = importlib.util.find_spec("plotly")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        path = Path(place) / "package_data" / "plotly.min.js"
        if path.is_file():
            return _script(path)
    return None


def policy(scripts: Sequence[Script]) -> str:
    """The Content-Security-Policy of a page with these scripts: no network, nothing else runs."""
    if not scripts:
        return _STATIC
    return _ACTIVE + " ".join(f"'{script.digest}'" for script in scripts)


def script_json(value: Any) -> str:
    r"""``value`` as JSON that means nothing to an HTML parser: ``<`` is ``\u003c``, and so on.

    Control characters in text are shown as what they are, as everywhere on a page. Raises
    ``ValueError`` for NaN and infinities.
    """
    told = json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return told.translate(_ESCAPED)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping):
        return {plain(str(key)): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def _script(path: Path) -> Script:
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    # Inside strings and comments alone, where a backslash before it changes nothing.
    for ending in ("</script", "</SCRIPT", "<!--"):
        text = text.replace(ending, f"<\\{ending[1:]}")
    return Script(path.name, text)

"""A study's page, ``README.md``: its title, and in its front matter the headline figure.

The front matter says where the figure stands: a file that a stage writes, a key in it, and what
the paper has in its place. The figure itself is never typed.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from geocore.config.foreign_json import parse_json
from geocore.config.load import parse_yaml, validate
from geocore.config.section import Section
from geocore.errors import UserError

__all__ = ["Headline", "Page", "measured", "read_page"]

_LONGEST = 40  # characters of a found value that a line repeats
_Text = Annotated[str, Field(min_length=1)]


class Headline(Section):
    """``headline``: where the one figure stands that tells how the study went.

    ``file`` is relative to the study and written by one of its stages; ``key`` leads to a number
    in it, ``test.accuracy``. ``published`` is the paper's value and ``source`` where it has it.
    """

    title: ClassVar[str] = "headline"

    label: _Text
    file: _Text
    key: _Text
    published: float | None
    source: _Text | None


@dataclass(frozen=True)
class Page:
    """What the page says: its first heading, and the headline figure if it names one."""

    title: str
    headline: Headline | None


def read_page(folder: Path, where: str) -> Page:
    """The page of a study's folder; ``where`` is what a ``UserError`` calls the folder."""
    path, shown = folder / "README.md", f"{where}/README.md"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{shown}: no such file; expected the study's page") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{shown}: byte {error.start} is not UTF-8; expected text") from None
    except OSError as error:
        raise UserError(f"{shown}: {error.strerror}; expected a file to read") from None
    front, body = _parted(text, shown)
    for key in front:
        if key != Headline.title:
            raise UserError(f"{shown}: {key} is an unknown key; expected headline alone")
    raw = front.get(Headline.title)
    headline = None if raw is None else validate(raw, Headline, shown)
    if headline is not None and not isinstance(headline, Headline):
        raise TypeError(f"headline is {type(headline).__name__}; expected Headline")
    heading = re.search(r"^# +(.+?) *$", body, re.MULTILINE)
    return Page(heading[1] if heading else "", headline)


def measured(folder: Path, headline: Headline, where: str) -> float | None:
    """The headline figure as its file has it now; None where the file is not there.

    Raises ``UserError`` for a file that is damaged and for a key that leads to no finite number.
    """
    shown = f"{where}/{headline.file}"
    try:
        value: Any = parse_json((folder / headline.file).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise UserError(f"{shown}: holds no JSON; expected what a stage wrote") from None
    for step in headline.key.split("."):
        if not isinstance(value, dict) or step not in value:
            raise UserError(
                f"{shown}: has no {headline.key}; expected the figure that headline.key of "
                "README.md names"
            )
        value = value[step]
    if not _is_finite(value):
        found = json.dumps(value)
        found = found if len(found) <= _LONGEST else f"{found[:_LONGEST]}..."
        raise UserError(f"{shown}: {headline.key} is {found}; expected a finite number")
    figure: float = value
    return figure


def _is_finite(value: Any) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _parted(text: str, where: str) -> tuple[dict[str, Any], str]:
    """The front matter between two lines of three dashes, and the rest."""
    lines = text.splitlines()
    if lines[:1] != ["---"]:
        return {}, text
    if "---" not in lines[1:]:
        raise UserError(f"{where}: no line --- ends its front matter; expected one")
    end = lines.index("---", 1)
    # An empty line for the first dashes, so that a fault is told with its line of the file.
    return parse_yaml("\n".join(["", *lines[1:end]]), where), "\n".join(lines[end + 1 :])

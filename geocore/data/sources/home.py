"""Where data lies that is not part of the repository: the folder that GEOCORE_DATA names."""

from __future__ import annotations

import os
from pathlib import Path

from geocore.errors import UserError

__all__ = ["data_home", "known_set", "locate"]


def data_home() -> Path | None:
    """The folder that the environment variable ``GEOCORE_DATA`` names; None where it is unset."""
    value = os.environ.get("GEOCORE_DATA", "").strip()
    return Path(value).expanduser() if value else None


def locate(path: str | None, source: str, root: Path, home: Path | None) -> Path:
    """The file or folder that ``data.path`` names: in the repository first, then in ``home``."""
    if path is None:
        raise UserError(
            f"data.path is null; expected the folder of your data for data.source {source}"
        )
    tried = [root / Path(path).expanduser()]
    if home is not None:
        tried.append(home / path)
    for place in tried:
        if place.exists():
            return place
    places = " nor ".join(dict.fromkeys(str(place) for place in tried))
    hint = "" if home is not None else ", or GEOCORE_DATA set to the folder that it is relative to"
    raise UserError(
        f"data.path is {path}, and there is no {places}; expected your data there{hint}"
    )


def known_set(path: str | None, source: str, root: Path, home: Path | None, origin: str) -> Path:
    """The folder of a set that everybody gets from ``origin``: ``data.path``, or by its name."""
    if path is not None:
        return locate(path, source, root, home)
    folder = None if home is None else home / source
    if folder is not None and folder.is_dir():
        return folder
    looked = "GEOCORE_DATA is not set" if folder is None else f"there is no {folder}"
    raise UserError(
        f"data.source is {source}, and {looked}; expected GEOCORE_DATA to name the folder that "
        f"holds {source}/, or data.path: get it from {origin}"
    )

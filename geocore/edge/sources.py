"""A module's Verilog with all that it holds: what a tool reads of a design, and nothing else."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

__all__ = ["Sources", "held_files", "places_of"]

_COMMENT = re.compile("//.*")
_MODULE = re.compile(r"^ *(?:\(\*.*\*\) *)?module +(\w+)", re.MULTILINE)
_WORD = re.compile(r"\w+(?:\.hex)?")


@dataclass(frozen=True)
class Sources:
    """The files of ``module`` by name.

    ``numbers`` has the bits of one number for a port through which several pass at once, and
    ``latency`` is a kernel's: outputs belong to the inputs of so many cycles before. What passes by
    ``valid`` and ``ready`` has None.
    """

    module: str
    files: Mapping[str, str]
    numbers: Mapping[str, int] = field(default_factory=dict)
    latency: int | None = None

    def without(self, modules: Collection[str]) -> Sources:
        """With ports alone of these modules, whose name is their file's: they count as nothing."""
        files = dict(self.files)
        for module in modules:
            text = files[f"{module}.v"]
            head = text[text.index(f"module {module}") : text.index(");") + 2]
            files[f"{module}.v"] = f"(* blackbox *)\n{head}\nendmodule\n"
        return dataclasses.replace(self, files=held_files(files, self.module))


def places_of(files: Mapping[str, str]) -> dict[str, str]:
    """In which file each module lies, and each table, by its name."""
    found = {name: file for file, text in files.items() for name in _MODULE.findall(text)}
    return found | {file: file for file in files if file.endswith(".hex")}


def held_files(
    files: Mapping[str, str], module: str, places: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The file of ``module``, and those of every module and table that is named in one of them.

    ``places`` are ``places_of`` these files, where they are known. Raises ``ValueError`` for a
    module that is in none of them.
    """
    if places is None:
        places = places_of(files)
    if module not in places:
        raise ValueError(f"module is {module!r}; expected one of the design's")
    found: dict[str, str] = {}
    wanted = [places[module]]
    while wanted:
        file = wanted.pop()
        if file in found:
            continue
        found[file] = files[file]
        words = set(_WORD.findall(_COMMENT.sub("", files[file])))
        wanted += [places[word] for word in words & places.keys()]
    return dict(sorted(found.items()))

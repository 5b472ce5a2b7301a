"""The vendors' tools that are on this machine's PATH."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

__all__ = ["COMPILERS", "SYNTHESIS", "Backend", "missing_tools", "present_tools"]

Backend = Literal["Vitis", "Vivado"]
COMPILERS: Mapping[Backend, tuple[str, ...]] = {
    "Vitis": ("vitis-run", "vitis_hls"),  # the second was the first's name until 2023.2
    "Vivado": ("vivado_hls",),
}
SYNTHESIS = "vivado"


def missing_tools(backend: Backend) -> tuple[str, ...]:
    """The tools of a vendor's flow that are not on PATH; of two names of one tool the first."""
    names = COMPILERS[backend]
    lacks = () if any(shutil.which(name) for name in names) else (names[0],)
    return lacks if shutil.which(SYNTHESIS) else (*lacks, SYNTHESIS)


def present_tools(backend: Backend) -> dict[str, str]:
    """Where those lie that are: a vendor's folders have the version in their names."""
    found = ((name, shutil.which(name)) for name in (*COMPILERS[backend], SYNTHESIS))
    return {name: str(Path(where).resolve()) for name, where in found if where is not None}

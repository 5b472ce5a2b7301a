"""Tables that several stages take, as their declarations require them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from geocore.config.section import Section
from geocore.data.tabletype import TableType
from geocore.errors import UserError

__all__ = ["SOURCES", "Source", "labelled_maps", "planar_images", "source_of", "table_type"]

Source = Literal["healpix", "projected", "driscoll_healy"]
SOURCES: Mapping[Source, TableType] = {
    "healpix": TableType(grid="healpix", ordering="nested"),
    "projected": TableType(grid="planar"),
    "driscoll_healy": TableType(grid="driscoll-healy"),
}
"""The inputs that networks read, each of them one, and what is required of it."""


def source_of(kind: TableType) -> Source:
    """The name of the input that lies on the grid of ``kind``; ``UserError`` if there is none."""
    for name, wanted in SOURCES.items():
        if wanted.grid == kind.grid:
            return name
    grids = ", ".join(str(wanted.grid) for wanted in SOURCES.values())
    raise UserError(f"a table's grid is {kind.grid}; expected one of {grids}")


def table_type(name: Source, sections: Mapping[str, Section]) -> TableType:
    """The type of an input for a stage that takes it whatever its labels are."""
    del sections
    return SOURCES[name]


def labelled_maps(sections: Mapping[str, Section]) -> TableType:
    """Nested maps with a class each, whatever nside, faces and channels: what kernels take."""
    del sections
    return TableType(grid="healpix", ordering="nested", label_kind="class")


def planar_images(sections: Mapping[str, Section]) -> TableType:
    """Planar images of any size."""
    return table_type("projected", sections)

"""Tables that several stages take, as their declarations require them."""

from __future__ import annotations

from collections.abc import Mapping

from geocore.config.section import Section
from geocore.data.tabletype import TableType

__all__ = ["dense_images", "dense_maps", "labelled_images", "labelled_maps", "planar_images"]


def labelled_maps(sections: Mapping[str, Section]) -> TableType:
    """Nested maps with a class each, whatever nside, faces and channels: what networks take."""
    del sections
    return TableType(grid="healpix", ordering="nested", label_kind="class")


def labelled_images(sections: Mapping[str, Section]) -> TableType:
    """Planar images with a class each."""
    del sections
    return TableType(grid="planar", label_kind="class")


def dense_maps(sections: Mapping[str, Section]) -> TableType:
    """Nested maps with a class for each pixel, and perhaps a depth."""
    del sections
    return TableType(grid="healpix", ordering="nested", label_kind="mask")


def dense_images(sections: Mapping[str, Section]) -> TableType:
    """Planar images with a class for each pixel, and perhaps a depth."""
    del sections
    return TableType(grid="planar", label_kind="mask")


def planar_images(sections: Mapping[str, Section]) -> TableType:
    """Planar images of any size."""
    del sections
    return TableType(grid="planar")

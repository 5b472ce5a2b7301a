"""What networks and cameras take, whatever the parameters are."""

from __future__ import annotations

from geocore.data.tabletype import TableType
from geocore.pipeline.types import (
    dense_images,
    dense_maps,
    labelled_images,
    labelled_maps,
    planar_images,
)
from tests.models.encoders import kind


def test_networks_take_nested_maps_with_a_class_each() -> None:
    wanted = labelled_maps({})
    assert kind(4, (0, 1)).mismatches(wanted) == []
    ring = TableType(grid="healpix", ordering="ring", label_kind="mask")
    assert ring.mismatches(wanted) == [
        "ordering is ring; expected nested",
        "label_kind is mask; expected class",
    ]


def test_cameras_take_planar_images_of_any_size() -> None:
    assert TableType("planar", 3, 4, channels=3).mismatches(planar_images({})) == []
    assert kind().mismatches(planar_images({})) == ["grid is healpix; expected planar"]


def test_a_class_a_pixel_is_another_type_than_a_class_a_sample() -> None:
    maps = TableType(grid="healpix", ordering="nested", label_kind="mask")
    images = TableType("planar", 3, 4, channels=3, label_kind="mask")
    assert maps.mismatches(dense_maps({})) == [] == images.mismatches(dense_images({}))
    assert maps.mismatches(labelled_maps({})) == ["label_kind is mask; expected class"]
    assert images.mismatches(labelled_images({})) == ["label_kind is mask; expected class"]
    assert images.mismatches(dense_maps({})) == ["grid is planar; expected healpix"]
    ring = TableType(grid="healpix", ordering="ring", label_kind="mask")
    assert ring.mismatches(dense_maps({})) == ["ordering is ring; expected nested"]

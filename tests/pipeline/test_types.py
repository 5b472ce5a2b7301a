"""What networks and cameras take, whatever the parameters are."""

from __future__ import annotations

import pytest

from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.pipeline.types import SOURCES, labelled_maps, planar_images, source_of
from tests.models.encoders import kind


def test_kernels_take_nested_maps_with_a_class_each() -> None:
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


def test_no_network_reads_a_lattice() -> None:
    with pytest.raises(UserError) as error:
        source_of(TableType(grid="lattice"))
    assert str(error.value) == (
        "a table's grid is lattice; expected one of healpix, planar, driscoll-healy"
    )


@pytest.mark.parametrize("name", SOURCES)
def test_each_input_has_a_grid_of_its_own(name: str) -> None:
    assert source_of(SOURCES[name]) == name  # type: ignore[index]

"""The way between sphere and image plane: both directions against one pixel at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from geocore.camera.backproject import backproject_reference
from geocore.data.table import IGNORED, Table
from geocore.data.tablecamera import table_camera
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.healpix.grid import pixel_centres
from geocore.pipeline.dense_grids import Crossing, DenseSplit, areas_of, place_of
from geocore.so3.rotation import quaternion_to_matrix
from tests.pipeline.dense import (
    CAMERA,
    FACES,
    IMAGES,
    MAPS,
    NSIDE,
    on_the_sphere,
    samples,
    write_table,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    write_table(folder, IMAGES, samples())
    write_table(folder, MAPS, on_the_sphere(samples()))
    return folder


def splits(root: Path) -> tuple[DenseSplit, DenseSplit]:
    maps, images = (Table.open(root / "data" / name) for name in ("healpix", "projected"))
    return (
        DenseSplit(maps, "test", CPU, "segmentation"),
        DenseSplit(images, "test", CPU, "segmentation"),
    )


def test_from_the_sphere_to_the_plane(root: Path) -> None:
    sphere, plane = splits(root)
    at = torch.tensor([3])
    camera, images = CAMERA.resized(12, 16), replace(IMAGES, height=12, width=16)
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(1, MAPS.pixels, 3, generator=generator)
    valid = sphere.valid(at)
    found, known = Crossing(MAPS, images, camera)(values, sphere.rotations[at], valid)
    expected, there = backproject_reference(
        values, camera, sphere.rotations[at], NSIDE, FACES, valid
    )
    assert torch.equal(known, there.flatten(1))
    # Weights in float64, values in float32.
    assert torch.allclose(found.double(), expected.flatten(1, 2), atol=1e-5)
    assert 0.5 < float(known.double().mean()) < 1
    assert plane.place == "plane"


def test_from_the_plane_to_the_sphere(root: Path) -> None:
    sphere, plane = splits(root)
    at = torch.tensor([0, 1])
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, IMAGES.pixels, 3, generator=generator)
    valid = plane.valid(at)
    found, known = Crossing(IMAGES, MAPS, CAMERA)(values, plane.rotations[at], valid)
    centres = pixel_centres(NSIDE, FACES)
    for n, rotation in enumerate(plane.rotations[at]):
        directions = centres @ quaternion_to_matrix(rotation)
        for pixel in range(0, MAPS.pixels, 7):
            u, v, in_front = CAMERA.project(directions[pixel])
            inside = bool(CAMERA.covers(u, v, in_front))
            place = int((v + 0.5).floor()) * CAMERA.width + int((u + 0.5).floor()) if inside else 0
            expected = inside and bool(valid[n, place])
            assert bool(known[n, pixel]) == expected
            if expected:
                assert torch.equal(found[n, pixel], values[n, place])
    assert not found[~known].any()
    # Where the sphere's table has a label, the plane has an answer, and the same label.
    targets = sphere.targets(at)
    there = targets != IGNORED
    labels, known = Crossing(IMAGES, MAPS, CAMERA)(
        plane.targets(at)[..., None].float(), plane.rotations[at], valid
    )
    assert known[there].all()
    assert torch.equal(labels[..., 0][there].to(torch.uint8), targets[there])


def test_shared_pixels_are_those_that_the_sphere_has_too(root: Path) -> None:
    sphere, plane = splits(root)
    at = torch.tensor([0, 1])
    own, there = plane.valid(at), sphere.valid(at)
    shared = own & Crossing(IMAGES, MAPS, CAMERA).shared(plane.rotations[at], there)
    # A HEALPix network knows just these of the image.
    _, known = Crossing(MAPS, IMAGES, CAMERA)(there[..., None].float(), sphere.rotations[at], there)
    assert torch.equal(shared, known)
    none = torch.zeros_like(there)
    assert not Crossing(IMAGES, MAPS, CAMERA).shared(plane.rotations[at], none).any()


@pytest.mark.parametrize("outside", [float("nan"), float("inf"), 1e9])
def test_nothing_comes_from_outside_the_image(root: Path, outside: float) -> None:
    sphere, plane = splits(root)
    at = torch.tensor([0, 1])
    for own, other, split in ((MAPS, IMAGES, sphere), (IMAGES, MAPS, plane)):
        crossing = Crossing(own, other, CAMERA)
        values, valid = torch.ones(2, own.pixels, 1), split.valid(at)
        assert not valid.all()
        poisoned = torch.where(valid[..., None], values, outside)
        found, known = crossing(poisoned, split.rotations[at], valid)
        # A constant stays one: what was left out is made up for.
        assert torch.allclose(found[known], torch.ones(1), atol=1e-6)
        assert not found[~known].any()


def test_samples_are_matched_by_their_number(root: Path) -> None:
    sphere, _ = splits(root)
    images = Table.open(root / "data/projected")
    backwards = sphere.ids.flip(0)
    found = DenseSplit(images, "test", CPU, "segmentation", backwards)
    plain = DenseSplit(images, "test", CPU, "segmentation")
    assert torch.equal(found.ids, backwards)
    last = len(plain) - 1
    for name in ("images", "targets", "valid"):
        one, other = getattr(found, name), getattr(plain, name)
        assert torch.equal(one(torch.tensor([0, 1])), other(torch.tensor([last, last - 1])))
    assert torch.equal(found.rotations, plain.rotations.flip(0))
    assert found.views == plain.views[::-1]
    with pytest.raises(UserError, match="the test split has no sample 999; expected the 1 samples"):
        DenseSplit(images, "test", CPU, "segmentation", torch.tensor([999]))


def test_a_table_says_its_camera_and_its_grid(root: Path) -> None:
    images = Table.open(root / "data/projected")
    assert table_camera(images) == CAMERA
    assert (place_of(IMAGES), place_of(MAPS)) == ("plane", "sphere")
    with pytest.raises(UserError, match="the camera's images are 24 x 32; expected 24 x 16"):
        Crossing(MAPS, replace(IMAGES, width=16), CAMERA)


def test_a_table_without_views_or_rotations(tmp_path: Path) -> None:
    write_table(tmp_path, IMAGES, {**samples(), "view": None, "rotation": None})
    split = DenseSplit(Table.open(tmp_path / "data/projected"), "val", CPU, "depth")
    assert split.views == []
    assert torch.equal(split.rotations, torch.tensor([[1.0, 0, 0, 0]]).double().expand(4, 4))


def test_areas_of_points_and_pixels() -> None:
    assert areas_of(MAPS).unique().tolist() == areas_of(IMAGES).unique().tolist() == [1]
    grid = TableType(grid="driscoll-healy", height=16, width=16, channels=1, dtype="uint8")
    areas = areas_of(grid).reshape(16, 16).double()
    assert torch.equal(areas, areas[:, :1].expand(-1, 16))
    # The share of rings is that of the zones between them, near enough, and exact in the sum.
    edges = torch.linspace(0, torch.pi, 17, dtype=torch.float64).cos()
    zones = (edges[:-1] - edges[1:]) / 2
    assert torch.allclose(areas[:, 0] / areas[:, 0].sum(), zones, atol=2e-3)
    assert abs(float(areas.mean()) / 2**20 - 1) < 1e-6

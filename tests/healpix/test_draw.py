"""Pictures: right way round, right colours, and the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from geocore.healpix.draw import (
    Picture,
    ahead,
    colours,
    mollweide,
    montage,
    orthographic,
    write_png,
)
from geocore.healpix.grid import pixel_centres, ring_order

RED, GREEN, BLUE = torch.eye(3).double()
GREY, WHITE = (205, 205, 205), (255, 255, 255)


def compass(faces: tuple[int, ...] = tuple(range(12))) -> torch.Tensor:
    """RGB: red grows to the north, green to the east (of longitude 0), blue towards longitude 0."""
    x, y, z = pixel_centres(32, faces).unbind(1)
    return (torch.stack([z, y, x], dim=1) + 1) / 2


def at(picture: Picture, right: float, up: float) -> np.ndarray:
    """The colour a share of the half width and height away from the middle."""
    height, width, _ = picture.shape
    return np.asarray(picture[int(height / 2 * (1 - up)), int(width / 2 * (1 + right))], int)


@pytest.mark.parametrize("kind", ["mollweide", "orthographic"])
def test_north_is_up_and_east_is_left_as_seen_from_the_centre(kind: str) -> None:
    view = mollweide(32, width=300) if kind == "mollweide" else orthographic(32, size=200)
    picture = view.paint(compass())
    # Aside of the graticule, which runs through the middle.
    assert at(picture, 0.05, 0.8)[0] > 210 and at(picture, 0.05, -0.8)[0] < 60
    assert at(picture, -0.45, 0.05)[1] > 170 and at(picture, 0.45, 0.05)[1] < 85
    assert at(picture, 0.05, 0.05)[2] > 245


def test_a_camera_that_stands_upright_sees_what_the_map_of_the_sky_shows() -> None:
    """Looking at longitude 0 on the equator: right is west, down is south, and ahead is x."""
    frame = torch.tensor([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    one, other = ahead(32, frame, size=200), orthographic(32, size=200)
    assert float((one.pixels == other.pixels).double().mean()) > 0.999  # but for rounding
    rolled = ahead(32, frame @ torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), size=200)
    picture = rolled.paint(compass())
    # The camera leans to the right, so the north goes to the left.
    assert at(picture, -0.8, 0.05)[0] > 210 and at(picture, 0.8, 0.05)[0] < 60
    with pytest.raises(ValueError, match=r"frame has shape \(4,\); expected \(3, 3\)"):
        ahead(32, torch.zeros(4))


def test_a_point_of_known_longitude_and_latitude() -> None:
    """Mollweide: on the equator, longitude L is at L / 180 of the half width, to the left."""
    near = torch.tensor([0.0, 1.0, 0.0]).double()  # longitude 90 degrees
    spot = (pixel_centres(32) @ near > 0.995).double()
    for middle, expected in ((0.0, 100), (90.0, 200), (45.0, 150)):
        picture = mollweide(32, longitude=middle, width=400).paint(spot).astype(int)
        # The colour map's light end is a yellow; everything else here is grey, dark or paper.
        rows, columns = np.nonzero(picture[..., 0] - picture[..., 2] > 40)
        assert abs(columns.mean() - expected) < 1.5 and abs(rows.mean() - 100) < 1.5


def test_mollweide_is_of_equal_area() -> None:
    view = mollweide(1, width=600)
    counts = torch.bincount(view.pixels[view.pixels >= 0], minlength=12).double()
    assert (counts / counts.mean() - 1).abs().max() < 0.005


def test_orthographic_looks_at_its_point() -> None:
    for colatitude, longitude, colour in ((0, 0, 0), (90, 90, 1), (90, 0, 2)):
        view = orthographic(32, colatitude=colatitude, longitude=longitude, size=100)
        middle = at(view.paint(compass()), 0.06, 0.06)
        assert middle[colour] > 240, (colatitude, longitude, middle)


def test_outside_is_paper_and_invalid_is_grey() -> None:
    valid = pixel_centres(32)[:, 2] > 0
    picture = mollweide(32, width=200).paint(torch.rand(12 * 32**2), valid=valid)
    assert tuple(picture[0, 0]) == WHITE
    assert tuple(at(picture, 0.04, -0.35)) == GREY
    assert tuple(at(picture, 0.04, 0.35)) != GREY
    some = mollweide(32, width=200).paint(compass()[: 8 * 32**2], faces=tuple(range(8)))
    assert tuple(at(some, 0.04, -0.85)) == GREY


def test_ring_maps_look_as_nested_ones() -> None:
    faces = tuple(range(8))
    values, view = compass(faces), orthographic(32, size=60)
    nested = view.paint(values, faces)
    ring = view.paint(values[ring_order(32, faces)], faces, "ring")
    np.testing.assert_array_equal(ring, nested)


def test_colours_rise_from_dark_to_light_and_keep_their_limits() -> None:
    found = colours(torch.linspace(0, 1, 50))
    assert (found.sum(dim=1).diff() > 0).all()
    assert found[0].tolist() == [0, 0, 4] and found[-1].tolist() == [252, 253, 191]
    assert torch.equal(colours(torch.tensor([-3.0, 9.0]), (0, 1)), found[[0, -1]])
    assert torch.isfinite(colours(torch.ones(3))).all()


def test_montage_places_pictures_row_by_row() -> None:
    tiles = [np.full((40, 60, 3), level, np.uint8) for level in (10, 20, 30)]
    sheet = montage(tiles, ["a", "b", "c"], columns=2)
    areas = [int((sheet == level).all(axis=2).sum()) for level in (10, 20, 30)]
    assert areas == [2400] * 3
    places = [np.argwhere((sheet == level).all(axis=2))[0] for level in (10, 20, 30)]
    assert places[0][0] == places[1][0] < places[2][0] and places[0][1] == places[2][1]
    with pytest.raises(ValueError, match="3 pictures and 1 captions"):
        montage(tiles, ["a"], 2)


def test_png_bytes_are_the_same_each_time(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for name in ("a.png", "b.png"):
        picture = orthographic(32, size=50).paint(compass())
        write_png(tmp_path / name, montage([picture], ["caption"], 1))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with image.open(tmp_path / "a.png") as opened:
        np.testing.assert_array_equal(np.asarray(opened), montage([picture], ["caption"], 1))


def test_wrong_arguments_are_named() -> None:
    view = mollweide(4, width=20)
    with pytest.raises(ValueError, match=r"values has shape \(192, 2\)"):
        view.paint(torch.zeros(192, 2))
    with pytest.raises(ValueError, match="values has 48 pixels; expected nside 4"):
        view.paint(torch.zeros(48))

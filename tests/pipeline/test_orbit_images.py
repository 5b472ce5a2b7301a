"""Images for the tasks: splits without overlap, folders read, digits laid on the sphere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geocore.errors import UserError
from geocore.healpix.grid import pixel_centres
from geocore.healpix.symmetry import QuarterTurns
from geocore.pipeline.orbit_images import images_of, on_sphere, other_images


def test_digits_are_drawn_without_overlap(tmp_path: Path) -> None:
    found = images_of("digits", 40, 20, 1, tmp_path)
    assert found.inputs.shape == (40, 1, 8, 8) and found.inputs.dtype == torch.float64
    assert found.classes == 10 and found.targets.shape == (40,) and found.truth.shape == (20,)
    both = torch.cat([found.inputs, found.test]).flatten(1)
    assert len(both.unique(dim=0)) == 60
    again = images_of("digits", 30, 20, 1, tmp_path)
    assert torch.equal(again.inputs, found.inputs[:30]), "of one seed the first ones stay"
    assert not torch.equal(images_of("digits", 40, 20, 2, tmp_path).targets, found.targets)


def test_too_few(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        images_of("digits", 1790, 20, 0, tmp_path)
    assert error.value.lines == (
        "orbits.test is 20, and 7 images of digits are left for it; expected fewer",
    )


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_a_folder_of_tiles(tmp_path: Path, suffix: str) -> None:
    """The layout of NCT-CRC: a folder a class, tiles of one size."""
    generator = np.random.default_rng(0)
    for place, name in enumerate(("ADI", "LYM", "TUM")):
        (tmp_path / "tiles" / name).mkdir(parents=True)
        for number in range(4):
            tile = generator.integers(0, 50, (12, 12, 3), dtype=np.uint8) + np.uint8(60 * place)
            Image.fromarray(tile).save(tmp_path / f"tiles/{name}/{name}-{number}.{suffix}")
    found = images_of("image_folder", 8, 4, 0, tmp_path, 8, "tiles")
    assert found.inputs.shape == (8, 3, 8, 8) and found.classes == 3
    shades = torch.cat([found.inputs, found.test]).mean(dim=(1, 2, 3)) * 255
    labels = torch.cat([found.targets, found.truth])
    assert torch.equal(((shades - 25) / 60).round().long(), labels)
    with pytest.raises(UserError, match=r"orbits\.path is none, and there is no "):
        images_of("image_folder", 8, 4, 0, tmp_path, 8, "none")


def test_others_have_the_asked_shape(tmp_path: Path) -> None:
    grey = other_images("textures", (3, 1, 8), 0, tmp_path)
    colour = other_images("digits", (3, 3, 16), 0, tmp_path)
    assert grey.shape == (3, 1, 8, 8) and colour.shape == (3, 3, 16, 16)
    assert torch.equal(colour[:, 0], colour[:, 2])


def test_a_picture_lies_around_the_pole() -> None:
    centres = pixel_centres(8)
    smooth = torch.linspace(0, 1, 16, dtype=torch.float64).expand(1, 1, 16, 16).clone()
    lifted = on_sphere(smooth, 8)[0, :, 0]
    assert torch.equal(lifted[centres[:, 2] < 0], torch.zeros(int((centres[:, 2] < 0).sum())))
    # Brighter to the right, so along +x, linear in the angle from the pole.
    near = centres[:, 2] > 0.5
    angle = torch.acos(centres[near, 2]) * centres[near, 0] / (1 - centres[near, 2] ** 2).sqrt()
    expected = 0.5 + (angle / (torch.pi / 2)) * 16 / 30
    assert torch.allclose(lifted[near], expected, atol=1e-12)


def test_quarter_turns_of_picture_and_map_agree() -> None:
    image = torch.rand(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    turned = on_sphere(image.rot90(1, (-2, -1)), 4)
    assert torch.allclose(turned, QuarterTurns(4).act(1, on_sphere(image, 4)), atol=1e-12)

"""Images with classes, and others, for the tasks of emergent equivariance."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from geocore.data.sources.base import Source
from geocore.data.sources.digits import Digits
from geocore.data.sources.fashion_mnist import FASHION_MNIST
from geocore.data.sources.home import data_home, locate
from geocore.data.sources.idx import IdxImages
from geocore.data.sources.image_folder import ImageFolder
from geocore.data.sources.mnist import MNIST
from geocore.data.sources.resized import Resized
from geocore.errors import UserError
from geocore.healpix.grid import pixel_centres
from geocore.pipeline.orbit_textures import CLASSES, textures

__all__ = ["ClassImages", "images_of", "on_sphere", "other_images"]

_SPLIT = 7  # the stream of the seed that says which samples are trained on


class ClassImages(NamedTuple):
    """``inputs (n, channels, size, size)`` in [0, 1], float64; ``targets (n,)``; test likewise."""

    inputs: Tensor
    targets: Tensor
    test: Tensor
    truth: Tensor
    classes: int


def images_of(
    source: str,
    train: int,
    test: int,
    seed: int,
    root: Path,
    image_size: int | None = None,
    path: str | None = None,
) -> ClassImages:
    """So many images to train on and to ask, drawn by ``seed``, none twice.

    ``generated`` textures are drawn anew; ``digits``, ``mnist``, ``fashion_mnist`` and
    ``image_folder`` (of ``path``) are read, and one with a test split of its own is asked on that.
    Raises ``UserError`` for data that are missing, broken, not square or too few.
    """
    if source == "generated":
        assert image_size is not None
        images, labels = textures(train + test, image_size, seed)
        # Classes go by turns: any run of textures is balanced.
        return ClassImages(
            images[:train], labels[:train], images[train:], labels[train:], len(CLASSES)
        )
    found = _opened(source, image_size, path, root)
    height, width, _ = found.shape
    if height != width:
        raise UserError(
            f"orbits.source is {source}: images of {height} x {width} pixels; expected square "
            "ones, or orbits.image_size to make them so"
        )
    order = np.random.default_rng([_SPLIT, seed]).permutation(len(found))
    if found.splits is None:
        shown, asked = order[:train], order[train : train + test]
    else:
        shown = order[found.splits[order] == 0][:train]
        asked = order[found.splits[order] != 0][:test]
    for name, rows, wanted in (("train", shown, train), ("test", asked, test)):
        if len(rows) < wanted:
            raise UserError(
                f"orbits.{name} is {wanted}, and {len(rows)} images of {source} are left for it; "
                "expected fewer"
            )
    return ClassImages(*_images(found, shown), *_images(found, asked), len(found.classes))


def other_images(name: str, shape: tuple[int, int, int], seed: int, root: Path) -> Tensor:
    """Images that are none of the training's, ``shape`` is number, channels and size.

    ``textures`` or a source's. Grey ones are repeated in all channels, coloured ones averaged for
    one channel.
    """
    count, channels, size = shape
    if name == "textures":
        # Far behind those that a training on textures may have.
        found, _ = textures(count, size, seed, first=10**7)
    else:
        found = images_of(name, count, 0, seed + 1, root, size).inputs
    if channels == 1:
        return found.mean(1, keepdim=True)
    return found.expand(-1, channels, -1, -1).clone()


def on_sphere(images: Tensor, nside: int) -> Tensor:
    """Images ``(n, 1, size, size)`` laid over the northern half of a HEALPix map, ``(n, npix, 1)``.

    The angle from the pole is the distance from the image's middle (azimuthal, equidistant), with
    the equator on the circle in the square; bilinear, nested order, 0 in the south.
    """
    centres = pixel_centres(nside)
    colatitude = torch.acos(centres[:, 2].clamp(-1, 1))
    across = centres[:, :2] / torch.linalg.vector_norm(centres[:, :2], dim=-1, keepdim=True)
    radius = colatitude / (math.pi / 2)
    place = across * radius[:, None] * torch.tensor([1.0, -1.0])  # rows of an image go down
    grid = place.to(images).expand(len(images), 1, -1, -1)
    maps = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)[:, 0, 0]
    maps = torch.where(radius.to(images) <= 1, maps, 0.0)
    return maps[..., None]


def _opened(name: str, image_size: int | None, path: str | None, root: Path) -> Source:
    home = data_home()
    if name == "image_folder":
        try:
            folder = locate(path, name, root, home)
        except UserError as error:
            lines = [line.replace("data.", "orbits.") for line in error.lines]
            raise UserError(*lines) from None
        return ImageFolder(folder, image_size)
    found: Source
    if name == "digits":
        found = Digits()
    else:
        about = {"mnist": MNIST, "fashion_mnist": FASHION_MNIST}[name]
        found = IdxImages(about, root / "data" / "downloads", home, lambda line: None)
    return found if image_size is None else Resized(found, image_size)


def _images(source: Source, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """The rows' images and classes, in the order of ``rows``."""
    rising = np.sort(rows)
    shape = source.shape
    pieces = [np.empty((0, *shape), np.uint8), *source.images(rising, max(1, len(rising)))]
    held = np.concatenate(pieces)[np.searchsorted(rising, rows)]
    images = torch.from_numpy(held).movedim(-1, 1).double() / 255
    return images.contiguous(), torch.from_numpy(source.labels[rows])

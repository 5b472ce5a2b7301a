"""A scene through a camera: image, labels and metric range."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geocore.camera.lens import RadialCamera
from geocore.camera.polynomial import RadialPolynomial
from geocore.data.scenes.rays import ray_tiles, rotate
from geocore.data.scenes.shading import shade
from geocore.data.scenes.trace import closest
from geocore.data.scenes.world import Scene
from geocore.so3.rotation import quaternion_to_matrix

__all__ = ["UPRIGHT", "Rendered", "default_camera", "render"]

Array = npt.NDArray[Any]

UPRIGHT = (1.0, 0.0, 0.0, 0.0)

_GAMMA = 1 / 2.2
_VIGNETTE = 0.12  # what the image loses of its light at 90 degrees from the axis


@dataclass(frozen=True)
class Rendered:
    """``image (H, W, 3)`` uint8, ``label (H, W)`` uint8, ``depth (H, W)`` float32, ``valid``.

    Labels are numbers of ``classes.CLASSES``; depth is metres along the ray, 0 where there is
    none (the sky). Pixels whose centre lies outside the lens are not valid: all else is 0 there.
    """

    image: npt.NDArray[np.uint8]
    label: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]


def default_camera(height: int, width: int) -> RadialPolynomial:
    """A fisheye that sees 190 degrees across: a WoodScape front camera, centred, at this size.

    At 4:3 the corners see 113 degrees from the axis.
    """
    lens = RadialPolynomial(960, 1280, (339.749, -31.988, 48.275, -7.201))
    return lens.resized(height, width)


def render(
    scene: Scene,
    camera: RadialCamera,
    tilt: Tensor | None = None,
    *,
    samples: int = 4,
) -> Rendered:
    """The scene as the camera sees it.

    ``tilt``: the unit quaternion ``(4,)`` of the camera's pose, from its own frame to that of the
    upright camera; ``None`` is upright. A direction ``d`` of the camera looks along
    ``R(heading) U R(tilt) d`` in the world, so labels and depth of equal directions are equal
    whatever the tilt. They are those of the pixel's centre; colours are the mean of ``samples``
    (1, 4, 9, ...) jittered rays, with the sensor's noise. Raises ``ValueError`` for other numbers
    of samples and for a tilt that is no unit quaternion.
    """
    turn = _turn(tilt)
    rotation = scene.rotation() @ quaternion_to_matrix(turn).numpy()
    centres = ray_tiles(camera, 1)
    directions = rotate(rotation, centres.directions)
    hits = closest(scene, centres, directions, rotation)
    tiles = centres
    if samples != 1:
        tiles = ray_tiles(camera, samples)
        directions = rotate(rotation, tiles.directions)
        hits_of_colour = closest(scene, tiles, directions, rotation)
    else:
        hits_of_colour = hits
    # What burns out does so ray by ray, so that the edges of lights are as smooth as others.
    gain = np.float32(scene.light.exposure) * np.asarray(scene.light.tint, dtype=np.float32)
    light = np.minimum(shade(scene, hits_of_colour, directions) * gain, np.float32(1.0))
    light = light.reshape(len(light), -1, samples, 3).mean(axis=2)
    angle = centres.directions[2].astype(np.float32)[..., None]
    light *= np.float32(1.0) - np.float32(_VIGNETTE) * (1 - angle)
    return Rendered(
        image=_developed(scene, centres.image(light), turn, centres.image(_inside(centres.pixel))),
        label=centres.image(hits.labels(scene.solids)),
        depth=centres.image(hits.depth()),
        valid=centres.image(_inside(centres.pixel)),
    )


def _inside(pixel: Array) -> Array:
    return np.asarray(pixel >= 0)


def _turn(tilt: Tensor | None) -> Tensor:
    if tilt is None:
        return torch.tensor(UPRIGHT, dtype=torch.float64)
    if tilt.shape != (4,) or not abs(float(tilt.norm()) - 1) < 1e-6:
        raise ValueError(f"tilt is {tilt.tolist()}; expected a unit quaternion (w, x, y, z)")
    return tilt.double()


def _developed(scene: Scene, light: Array, turn: Tensor, valid: Array) -> npt.NDArray[np.uint8]:
    """Tone curve and sensor noise; the noise is drawn from the scene and the pose."""
    value = np.clip(light, 0.0, 1.0) ** np.float32(_GAMMA)
    pose = hashlib.blake2b(np.round(turn.numpy(), 9).tobytes(), digest_size=8).digest()
    entropy = [scene.seed, int.from_bytes(pose, "big")]
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
    value += np.float32(scene.light.noise) * random.standard_normal(value.shape, dtype=np.float32)
    shown = np.clip(np.rint(value * np.float32(255.0)), 0, 255)
    return np.where(valid[..., None], shown, 0).astype(np.uint8)

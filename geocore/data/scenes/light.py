"""The light of a scene: sun, sky and haze, and the camera's exposure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from geocore.data.scenes.intersect import Axes
from geocore.data.scenes.noise import value_noise

__all__ = ["Light", "draw_light", "environment", "sky"]

Array = npt.NDArray[Any]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """``sun``: the unit vector to the sun. Colours are linear; 1 is white paper in full light."""

    sun: Colour
    sunlight: Colour
    ambient: Colour
    zenith: Colour
    horizon: Colour
    clouds: float  # 0 to 1, how much of the sky they take
    cloud_seed: int
    haze: float  # metres after which 1 - 1/e of the light is the haze's
    windows: float  # share of the windows that are lit
    exposure: float
    tint: Colour
    noise: float  # standard deviation of the sensor's noise, of full scale


def draw_light(random: np.random.Generator) -> Light:
    """Clear, low sun, overcast, hazy or dusk."""
    kind = str(
        random.choice(["clear", "low", "overcast", "hazy", "dusk"], p=[0.4, 0.2, 0.2, 0.1, 0.1])
    )
    azimuth = random.uniform(0, 2 * math.pi)
    degrees = {
        "clear": random.uniform(25, 65),
        "low": random.uniform(8, 22),
        "overcast": random.uniform(60, 85),
        "hazy": random.uniform(20, 50),
        "dusk": random.uniform(50, 85),
    }[kind]
    height = math.radians(degrees)
    sun = (
        math.cos(height) * math.cos(azimuth),
        math.cos(height) * math.sin(azimuth),
        math.sin(height),
    )
    warm = min(1.0, degrees / 35.0)
    sunlight, ambient, zenith, horizon = {
        "clear": ((1.0, 0.94, 0.84), (0.26, 0.32, 0.42), (0.16, 0.32, 0.68), (0.62, 0.75, 0.90)),
        "low": (
            (1.0, 0.55 + 0.35 * warm, 0.25 + 0.5 * warm),
            (0.24, 0.25, 0.33),
            (0.20, 0.30, 0.55),
            (0.90, 0.66 + 0.1 * warm, 0.45 + 0.3 * warm),
        ),
        "overcast": ((0.28, 0.28, 0.28), (0.55, 0.57, 0.60), (0.55, 0.58, 0.62), (0.75, 0.77, 0.8)),
        "hazy": ((0.60, 0.56, 0.48), (0.45, 0.47, 0.50), (0.50, 0.60, 0.72), (0.80, 0.80, 0.78)),
        "dusk": ((0.05, 0.05, 0.06), (0.17, 0.19, 0.27), (0.07, 0.10, 0.22), (0.42, 0.30, 0.30)),
    }[kind]
    clouds = {
        "clear": random.uniform(0.0, 0.55),
        "low": random.uniform(0.0, 0.6),
        "overcast": 0.95,
        "hazy": random.uniform(0.2, 0.6),
        "dusk": random.uniform(0.0, 0.6),
    }[kind]
    tint = random.uniform(0.94, 1.06, 3)
    return Light(
        sun=sun,
        sunlight=sunlight,
        ambient=ambient,
        zenith=zenith,
        horizon=horizon,
        clouds=clouds,
        cloud_seed=int(random.integers(1, 2**20)),
        haze=random.uniform(60, 140) if kind == "hazy" else random.uniform(250, 700),
        windows={"dusk": 0.45, "overcast": 0.08}.get(kind, 0.0),
        exposure=(1.9 if kind == "dusk" else 1.15) * random.uniform(0.8, 1.2),
        tint=(float(tint[0]), float(tint[1]), float(tint[2])),
        noise=random.uniform(0.004, 0.012) * (1.8 if kind == "dusk" else 1.0),
    )


def environment(light: Light, z: Array) -> Array:
    """What a mirror shows of sky and ground, by the height ``z`` of its ray; ``(n, 3)``."""
    up = np.clip(z, 0.0, 1.0)[:, None]
    horizon, zenith = _row(light.horizon), _row(light.zenith)
    ground = np.float32(0.35) * _row(light.ambient)
    above = horizon + (zenith - horizon) * np.sqrt(up)
    return np.where(z[:, None] > 0, above, ground)


def sky(light: Light, direction: Axes) -> Array:
    """The colour of the sky along rays ``(n,)``, ``(n, 3)``: a gradient, clouds, the sun."""
    x, y, z = direction
    colour = environment(light, np.maximum(z, np.float32(1e-3)))
    # Clouds lie in a plane overhead.
    high = np.maximum(z, np.float32(0.03))
    u, v = x / high, y / high
    seed = light.cloud_seed
    wool = (
        np.float32(0.55) * value_noise(0.9 * u, 0.9 * v, seed)
        + np.float32(0.3) * value_noise(2.3 * u, 2.3 * v, seed + 1)
        + np.float32(0.15) * value_noise(5.1 * u, 5.1 * v, seed + 2)
    )
    cover = np.clip((wool - (0.75 - 0.6 * light.clouds)) * 4, 0, 1)
    cover *= np.clip(z * 8, 0, 1) * np.float32(0.9)
    white = np.float32(0.5) * _row(light.sunlight) + _row(light.ambient) * np.float32(0.9)
    tone = white * (np.float32(0.75) + np.float32(0.4) * wool[:, None])
    colour = colour + cover[:, None] * (tone - colour)
    near = x * light.sun[0] + y * light.sun[1] + z * light.sun[2]
    glow = np.clip(near, 0, 1) ** 64 * 0.35 + np.clip((near - 0.9985) * 2000, 0, 1) * 2
    clear = np.float32(1.0 - 0.9 * min(1.0, light.clouds))
    return np.asarray(colour + (glow * clear)[:, None] * _row(light.sunlight), dtype=np.float32)


def _row(colour: Colour) -> Array:
    return np.asarray(colour, dtype=np.float32)

"""A scene: everything that is drawn, once, from its seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocore.data.scenes.buildings import add_buildings
from geocore.data.scenes.furniture import add_poles, add_signs, add_trees
from geocore.data.scenes.light import Light, draw_light
from geocore.data.scenes.people import add_people
from geocore.data.scenes.roadplan import draw_street
from geocore.data.scenes.seeded import part
from geocore.data.scenes.solids import SolidList, Solids
from geocore.data.scenes.street import Street
from geocore.data.scenes.traffic import add_traffic

__all__ = ["Scene", "draw_scene", "upright"]


@dataclass(frozen=True)
class Scene:
    """A street, what stands on it, its light, and where the camera is.

    World frame: x along the street, y to the left, z up; ``position`` of the camera in metres,
    ``heading`` of its vehicle in radians from x towards y. Equal seeds give equal scenes.
    """

    seed: int
    street: Street
    solids: Solids
    light: Light
    position: tuple[float, float, float]
    heading: float

    def rotation(self) -> npt.NDArray[np.float64]:
        """``R``: the upright camera's frame to the world's, ``(3, 3)``."""
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        return turn @ upright()


def upright() -> npt.NDArray[np.float64]:
    """The upright camera's frame (x right, y down, z ahead) to its vehicle's (x ahead, y left)."""
    return np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def draw_scene(seed: int) -> Scene:
    """The scene of a seed (``seeds.scene_seed`` gives the seeds of a split).

    The camera drives along +x in one of the lanes that do, 1.2 to 1.6 m above the road, and
    looks up to 10 degrees to either side, at times up to 35. Raises ``ValueError`` for a negative
    seed.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; expected no negative number")
    street = draw_street(part(seed, "street"))
    random = part(seed, "camera")
    forward = [lane for lane in street.lanes if not lane.parked and lane.heading > 0]
    lane = forward[int(random.integers(len(forward)))]
    position = (0.0, lane.centre + random.uniform(-0.35, 0.35), random.uniform(1.2, 1.6))
    heading = math.radians(random.uniform(-10, 10))
    if random.random() < 0.2:
        heading += math.radians(random.uniform(-25, 25))
    solids = SolidList()
    add_buildings(solids, street, part(seed, "buildings"))
    add_traffic(solids, street, position[1], part(seed, "traffic"))
    add_trees(solids, street, part(seed, "trees"))
    add_poles(solids, street, part(seed, "poles"))
    add_signs(solids, street, part(seed, "signs"))
    add_people(solids, street, (position[0], position[1]), part(seed, "people"))
    light = draw_light(part(seed, "light"))
    return Scene(seed, street, solids.table(), light, position, heading)

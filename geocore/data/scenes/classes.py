"""The ten classes of a scene, in the order of their numbers, and the colours they are drawn in."""

from __future__ import annotations

__all__ = [
    "BUILDING",
    "CAR",
    "CLASSES",
    "COLOURS",
    "LANE_MARK",
    "PAVEMENT",
    "PEDESTRIAN",
    "POLE",
    "ROAD",
    "SKY",
    "TRAFFIC_SIGN",
    "TREE",
]

CLASSES = (
    "sky",
    "road",
    "lane_mark",
    "pavement",
    "building",
    "car",
    "pedestrian",
    "pole",
    "tree",
    "traffic_sign",
)
SKY, ROAD, LANE_MARK, PAVEMENT, BUILDING, CAR, PEDESTRIAN, POLE, TREE, TRAFFIC_SIGN = range(10)

# Red, green, blue in 0..255.
COLOURS = (
    (120, 180, 230),
    (110, 90, 130),
    (250, 250, 250),
    (230, 120, 200),
    (90, 80, 75),
    (30, 60, 190),
    (220, 30, 60),
    (170, 170, 170),
    (60, 140, 50),
    (240, 210, 20),
)

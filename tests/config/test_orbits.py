"""``orbits``: the keys of each task, and each key's range, in one line."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.load import tracked_leaves, validate
from geocore.config.orbits import (
    DigitsOrbits,
    HealpixOrbits,
    IsingOrbits,
    OrbitsParams,
    TextureOrbits,
    VectorOrbits,
)
from geocore.errors import UserError

COMMON: dict[str, Any] = {
    "width": 8, "depth": 2, "members": 16, "chunk": 4, "train": 10, "test": 5, "batch_size": 4,
    "times": [0, 3], "lr": 0.01, "optimiser": "adamw", "seed": 0, "closed_max": 1e-12,
}  # fmt: skip
IMAGES = {"network": "mlp", "image_size": 8, "order": 8, "angles": 32}
GOOD: dict[str, dict[str, Any]] = {
    "ising": {"side": 5},
    "digits": {**IMAGES, "source": "digits", "other": "textures"},
    "texture": {**IMAGES, "source": "generated", "path": None},
    "vector": {"rotations": 4},
    "healpix": {"nside": 4},
}


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ("ising", IsingOrbits), ("digits", DigitsOrbits), ("texture", TextureOrbits),
        ("vector", VectorOrbits), ("healpix", HealpixOrbits),
    ],
)  # fmt: skip
def test_each_task_has_its_keys(task: str, kind: type[OrbitsParams]) -> None:
    found = validate({"task": task, **COMMON, **GOOD[task]}, OrbitsParams, "params.yaml")
    assert type(found) is kind
    leaves = {"task", *COMMON, *GOOD[task]}
    assert set(tracked_leaves(kind)) == {f"orbits.{key}" for key in leaves}


@pytest.mark.parametrize(
    ("task", "key", "value", "told"),
    [
        ("ising", "task", "potts", 'is "potts"; expected one of ising, digits, texture, vector,'),
        ("ising", "members", 1, "is 1; expected an integer at least 2 and at most 65536"),
        ("ising", "chunk", 17, "is 17; expected at most the 16 of orbits.members"),
        ("ising", "times", [1, 3], "is [1, 3]; expected a list of growing integers from 0 to 1000"),
        ("ising", "times", [0, 3, 3], "is [0, 3, 3]; expected a list of growing integers from 0 "),
        ("ising", "times", [0], "is [0]; expected a list of growing integers from 0 to 1000000, "),
        ("ising", "nside", 4, "is an unknown key; did you mean orbits.side?"),
        ("ising", "closed_max", 0, "is 0; expected a number above 0 and at most 1"),
        ("digits", "order", 6, "is 6; expected one of 4, 8, 16"),
        ("digits", "angles", 36, "is 36; expected a multiple of orbits.order, 8"),
        ("texture", "path", "tiles", 'is "tiles"; expected null with orbits.source generated'),
        ("texture", "source", "image_folder", "is null; expected the folder of image_folder"),
        ("texture", "image_size", None, "is null; expected pixels with orbits.source generated"),
        ("healpix", "nside", 6, "is 6; expected a power of two from 1 to 8192"),
    ],
)
def test_out_of_range(task: str, key: str, value: Any, told: str) -> None:
    raw = {"task": task, **COMMON, **GOOD[task]} | {key: value}
    with pytest.raises(UserError) as error:
        validate(raw, OrbitsParams, "params.yaml")
    (line,) = error.value.lines
    named = "orbits.path" if key == "source" else f"orbits.{key}"
    assert line.startswith(f"params.yaml: {named} {told}")


def test_convolutions_have_two_layers() -> None:
    raw = {"task": "digits", **COMMON, **GOOD["digits"], "network": "cnn", "depth": 3}
    with pytest.raises(UserError, match=r"orbits\.depth is 3; expected 2 for network cnn"):
        validate(raw, OrbitsParams, "params.yaml")

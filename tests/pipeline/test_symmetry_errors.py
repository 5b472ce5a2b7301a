"""Equivariance errors of networks whose errors are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from geocore.healpix.grid import ALL_FACES, pixel_centres
from geocore.pipeline.symmetry_errors import (
    SymmetryErrors,
    quarter_turns,
    sampled_rotations,
    symmetry_errors,
)
from geocore.so3.rotation import quaternion_to_matrix
from geocore.train.feed import Feed, tensor_feed

NORTH = (0, 1, 2, 3)


class Layers(nn.Module):
    """Token maps with a known behaviour each."""

    def __init__(self, nside: int, faces: Sequence[int]) -> None:
        super().__init__()
        self.centres = pixel_centres(nside, faces).float()
        self.mix = torch.randn(1, 3, generator=torch.Generator().manual_seed(1))

    def trace(self, x: Tensor) -> dict[str, Tensor]:
        return {
            "linear": x @ self.mix,  # commutes with every permutation and interpolation
            "merged": x.unflatten(1, (-1, 4)).mean(dim=2),  # and this with permutations of parents
            "height": x * self.centres[:, 2:].square(),  # of symmetry about z
            "marked": x * (1 + self.centres[:, :1]),  # of none
            "logits": x.mean(dim=1),
        }


def smooth(nside: int, faces: Sequence[int] = ALL_FACES, count: int = 3) -> Feed:
    """Maps of a few low harmonics, as labels and ids of no matter."""
    x, y, z = pixel_centres(nside, faces).unbind(-1)
    basis = torch.stack([torch.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - y * y])
    weights = torch.randn(count, 8, generator=torch.Generator().manual_seed(0)).double()
    maps = (weights @ basis)[..., None].float()
    return tensor_feed(maps, torch.zeros(count, dtype=torch.long))


def measure(nside: int, faces: Sequence[int] = ALL_FACES, rotations: int = 3) -> SymmetryErrors:
    feed = smooth(nside, faces)
    elements = [
        *quarter_turns(faces, nside),
        *sampled_rotations("z", rotations, 0, faces),
        *sampled_rotations("so3", rotations, 0, faces),
    ]
    model = Layers(nside, faces)
    return symmetry_errors(model, feed, torch.arange(len(feed)), elements, batch_size=2)


def test_layers_keep_the_symmetries_that_they_have() -> None:
    found = measure(8)
    turned, about_z, anywhere = (found.summary(group) for group in ("quarter_turn", "z", "so3"))
    assert list(turned) == ["input", "linear", "merged", "height", "marked", "logits"]
    for layer in ("input", "linear", "merged", "height"):
        assert turned[layer]["max"] == 0, layer
    for group in (about_z, anywhere):
        assert group["input"]["max"] == 0
        assert group["linear"]["max"] < 1e-6, "interpolation is linear too"  # type: ignore[operator]
    assert turned["logits"]["max"] < 1e-6  # type: ignore[operator]
    assert about_z["height"]["max"] < 0.05  # type: ignore[operator]
    assert anywhere["height"]["mean"] > 0.2  # type: ignore[operator]
    for group in (turned, about_z, anywhere):
        assert group["marked"]["mean"] > 0.2  # type: ignore[operator]


def test_the_error_of_one_turn_by_hand() -> None:
    # A constant map times 1 + x: f(R c) - R f(c) = x - R x, and R f(c) = 1 + R x.
    nside = 4
    feed = tensor_feed(torch.ones(1, 12 * nside**2, 1), torch.zeros(1, dtype=torch.long))
    model = Layers(nside, ALL_FACES)
    found = symmetry_errors(model, feed, torch.tensor([0]), quarter_turns(ALL_FACES, nside), 1)
    x, y, _ = pixel_centres(nside).unbind(-1)
    rotated = {1: y, 2: -x, 3: -y}  # (R f)(d) = f(R^-1 d)
    for place, (turns, other) in enumerate(rotated.items()):
        expected = float((x - other).norm() / (1 + other).norm())
        error = found.errors[place, found.layers.index("marked"), 0]
        assert float(error) == pytest.approx(expected, rel=1e-6), turns


def test_the_floor_falls_with_the_square_of_the_pixel() -> None:
    coarse, fine = (measure(nside, rotations=2).summary("so3")["input"] for nside in (8, 16))
    assert coarse["floor"] is not None
    assert fine["floor"] is not None
    assert 3 < coarse["floor"] / fine["floor"] < 5
    assert fine["floor"] < 0.01


def test_an_exact_action_and_an_invariant_have_no_floor() -> None:
    found = measure(4)
    assert not any("floor" in row for row in found.summary("quarter_turn").values())
    assert "floor" not in found.summary("z")["logits"]
    assert found.summary("z")["input"]["floor"] > 0  # type: ignore[operator]


def test_only_pixels_of_the_available_faces_are_compared() -> None:
    found = measure(8, NORTH)
    groups: tuple[Literal["z", "so3"], ...] = ("z", "so3")
    for group in groups:
        rows = found.summary(group)
        assert rows["linear"]["max"] < 1e-6, group  # type: ignore[operator]
        assert rows["input"]["floor"] < 0.2, group  # type: ignore[operator]
    assert found.summary("quarter_turn")["linear"]["max"] == 0


def test_without_any_common_pixel_there_is_no_error() -> None:
    faces = (0,)
    rotations = sampled_rotations("z", 12, 0, faces)
    feed = smooth(4, faces)
    found = symmetry_errors(Layers(4, faces), feed, torch.arange(3), rotations, 3)
    column = found.table().filter(  # of one sample's input
        [row == ("input", 0) for row in zip(*(
            found.table()[name].to_pylist() for name in ("layer", "sample")), strict=True)]
    )  # fmt: skip
    beyond = [abs((angle + 180) % 360 - 180) > 91 for angle in column["angle"].to_pylist()]
    assert any(beyond)
    assert not all(beyond)
    assert [error is None for error in column["error"].to_pylist()] == beyond
    assert found.summary("z")["linear"]["max"] < 1e-6  # type: ignore[operator]


def test_open_faces_have_no_quarter_turns() -> None:
    with pytest.raises(ValueError, match=r"faces is \(0, 1\); expected a set that 90 degrees keep"):
        quarter_turns((0, 1), 4)


def test_sampled_rotations_follow_from_the_seed() -> None:
    first, again, other = (sampled_rotations("so3", 3, seed, ALL_FACES) for seed in (7, 7, 8))
    assert [r.quaternion for r in first] == [r.quaternion for r in again]
    assert [r.quaternion for r in first] != [r.quaternion for r in other]
    assert [r.quaternion for r in first[:2]] == [
        r.quaternion for r in sampled_rotations("so3", 2, 7, ALL_FACES)
    ]


def test_the_table_has_a_row_for_everything() -> None:
    found = measure(4, rotations=2)
    table = found.table()
    assert table.num_rows == (3 + 2 + 2) * 6 * 3
    rows = table.to_pylist()
    for place in np.random.default_rng(0).choice(len(rows), 20, replace=False):
        row = rows[place]
        element, layer = divmod(int(place), 18)
        layer, sample = divmod(layer, 3)
        rotation = found.rotations[element]
        assert (row["group"], row["element"]) == (rotation.group, rotation.number)
        assert (row["layer"], row["sample"]) == (found.layers[layer], sample)
        assert row["error"] == float(found.errors[element, layer, sample])
        if row["angle"] is not None:
            matrix = quaternion_to_matrix(torch.tensor(row["quaternion"], dtype=torch.float64))
            angle = math.radians(row["angle"])
            assert matrix[:2, 0].tolist() == pytest.approx([math.cos(angle), math.sin(angle)])
    assert {row["group"] for row in rows if row["angle"] is None} == {"so3"}

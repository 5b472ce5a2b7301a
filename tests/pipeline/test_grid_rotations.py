"""Rotations of samples on a Driscoll-Healy grid, as the equivariance errors take them."""

from __future__ import annotations

import pytest
import torch

from geocore.pipeline.grid_rotations import quarter_turns_of_grid, sampled_rotations_of_grid
from geocore.so3.rotation import quaternion_to_matrix
from geocore.so3.s2_rotation import S2Rotation
from geocore.so3.s2_transform import S2Transform


def band_limited(bandlimit: int) -> torch.Tensor:
    transform = S2Transform(bandlimit)
    noise = torch.randn(
        2, 3, *transform.grid_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    return transform.inverse(transform(noise)).movedim(1, -1)


def test_quarter_turns_are_the_rotations_they_name() -> None:
    x = band_limited(6)
    for turn in quarter_turns_of_grid(6):
        matrix = quaternion_to_matrix(torch.tensor(turn.quaternion, dtype=torch.float64))
        expected = S2Rotation(6, matrix, torch.float64)(x)
        torch.testing.assert_close(turn.act(x), expected, rtol=0, atol=1e-12)
        assert turn.floor(x) is None and turn.compared(x) is x
    with pytest.raises(ValueError, match="bandlimit 5 has 10 columns; quarter turns keep"):
        quarter_turns_of_grid(5)


@pytest.mark.parametrize("group", ["z", "so3"])
def test_sampled_rotations_go_there_and_back(group: str) -> None:
    x = band_limited(5)
    found = sampled_rotations_of_grid(group, 3, seed=2)  # type: ignore[arg-type]
    assert [rotation.number for rotation in found] == [0, 1, 2]
    for rotation in found:
        assert (rotation.angle is None) == (group == "so3")
        floor = rotation.floor(x)
        assert floor is not None and floor.max() < 1e-12, "what the band holds comes back"
        matrix = quaternion_to_matrix(torch.tensor(rotation.quaternion, dtype=torch.float64))
        expected = S2Rotation(5, matrix, torch.float64)(x)
        torch.testing.assert_close(rotation.act(x), expected, rtol=0, atol=1e-12)
    rough = torch.rand(1, 10, 10, 1, dtype=torch.float64)
    lost = found[0].floor(rough)
    assert lost is not None and lost.min() > 0.05, "and what it does not is told"

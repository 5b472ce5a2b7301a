"""The float student: shapes, and seeds."""

from __future__ import annotations

import pytest
import torch

from geocore.edge.student import build_student, spatial_sizes
from geocore.errors import UserError
from tests.edge.students import images


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 11, 3), (28, 28, 1)])
def test_any_image_that_the_blocks_leave_something_of(shape: tuple[int, int, int]) -> None:
    model = build_student(shape, (2, 3), 5, seed=0)
    assert model(images(4, shape)).shape == (4, 5)


def test_the_seed_decides_the_weights_and_nothing_else_is_drawn() -> None:
    state = torch.get_rng_state()
    first, second = (build_student((4, 4, 1), (2,), 3, seed=5) for _ in range(2))
    assert torch.equal(first.dense.weight, second.dense.weight)
    assert not torch.equal(build_student((4, 4, 1), (2,), 3, 6).dense.weight, first.dense.weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_sizes_halve_and_odd_rows_are_dropped() -> None:
    assert spatial_sizes((28, 15, 1), 3) == [(28, 15), (14, 7), (7, 3), (3, 1)]


def test_an_image_too_small_is_refused() -> None:
    with pytest.raises(UserError) as error:
        build_student((8, 4, 1), (2, 2, 2), 3, seed=0)
    assert str(error.value) == (
        "synthesize.channels has 3 blocks and images are 8 x 4; "
        "expected images of at least 8 x 8 pixels, or fewer blocks"
    )

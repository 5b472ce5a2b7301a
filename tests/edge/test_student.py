"""The float student: shapes, seeds, and batch norms that fold into their convolutions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from geocore.edge.student import build_student, spatial_sizes
from geocore.errors import UserError
from tests.edge.students import images, student


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 11, 3), (28, 28, 1)])
def test_any_image_that_the_blocks_leave_something_of(shape: tuple[int, int, int]) -> None:
    model = build_student(shape, (2, 3), 5, seed=0)
    assert model(images(4, shape)).shape == (4, 5)


def test_folded_layers_say_the_same() -> None:
    shape = (8, 6, 2)
    model = student(shape, (3, 4)).double()
    given = images(16, shape).double()
    here = given.permute(0, 3, 1, 2)
    *blocks, (weight, bias) = model.folded()
    for folded, shift in blocks:
        here = F.max_pool2d(F.relu(F.conv2d(here, folded, shift, padding=1)), 2)
    # What is flattened is channels-last, as a chip streams it.
    logits = F.linear(here.permute(0, 2, 3, 1).flatten(1), weight, bias)
    torch.testing.assert_close(logits, model(given), atol=1e-12, rtol=0)


def test_the_seed_decides_the_weights_and_nothing_else_is_drawn() -> None:
    state = torch.get_rng_state()
    first, second = (build_student((4, 4, 1), (2,), 3, seed=5) for _ in range(2))
    assert torch.equal(first.head.weight, second.head.weight)
    assert not torch.equal(build_student((4, 4, 1), (2,), 3, 6).head.weight, first.head.weight)
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

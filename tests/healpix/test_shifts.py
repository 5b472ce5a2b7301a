"""The laws of all shift strategies, by brute force against the neighbour graph."""

from __future__ import annotations

import itertools
import time

import pytest
import torch

from geocore.healpix import shifts
from geocore.healpix.cells import period_of
from geocore.healpix.grid import nest2xyf, pixel_centres
from geocore.healpix.shifts import STRATEGIES, Strategy, shift_plan
from geocore.healpix.symmetry import quarter_turn
from tests.healpix.shifted import (
    FACE_SETS,
    SIZES,
    adjacent_pairs,
    all_labels,
    components,
    groups,
)

every_strategy = pytest.mark.parametrize("strategy", list(STRATEGIES))
every_size = pytest.mark.parametrize(("nside", "window"), SIZES)
every_set = pytest.mark.parametrize("faces", FACE_SETS, ids=str)


@every_strategy
@every_set
@every_size
def test_a_permutation_and_labels_where_they_are_needed(
    nside: int, window: int, faces: tuple[int, ...], strategy: Strategy
) -> None:
    plan, tokens = shift_plan(nside, faces, window, strategy), len(faces) * nside**2
    everything = torch.arange(tokens)
    assert torch.equal(plan.permutation.sort().values, everything)
    assert torch.equal(plan.permutation[plan.inverse], everything)
    assert torch.equal(plan.inverse[plan.permutation], everything)
    assert plan.masked.dtype == torch.int64 and (plan.masked.diff() > 0).all()
    assert plan.labels.dtype == torch.uint8 and plan.labels.shape == (len(plan.masked), window)
    assert (plan.labels != plan.labels[:, :1]).any(dim=1).all()


@every_strategy
@every_set
@every_size
def test_who_may_attend_is_joined_by_neighbours_inside_the_window(
    nside: int, window: int, faces: tuple[int, ...], strategy: Strategy
) -> None:
    """A label of a window is one connected piece of the neighbour graph.

    For ring and roll it is a whole one: no neighbours inside a window have different labels.
    """
    plan = shift_plan(nside, faces, window, strategy)
    pairs, group = adjacent_pairs(nside, faces), groups(plan, window)
    attending = pairs[:, group[pairs[0]] == group[pairs[1]]]
    assert int(components(len(group), attending).max()) + 1 == len(group.unique())
    if strategy != "grid":
        inside = pairs[:, group[pairs[0]] // window == group[pairs[1]] // window]
        assert inside.shape == attending.shape


def assert_commutes(
    nside: int, window: int, faces: tuple[int, ...], strategy: Strategy, turns: int
) -> None:
    """Windows go to windows, labels to labels, and differences of positions stay."""
    plan, side = shift_plan(nside, faces, window, strategy), round(window**0.5)
    labels, masked = all_labels(plan, window), torch.zeros(len(plan.permutation) // window)
    masked[plan.masked] = 1
    position = torch.stack(nest2xyf(side, torch.arange(window))[:2])
    # The token at p comes from turned[p], so a token t goes to where turned is t.
    image = quarter_turn(nside, faces, turns).argsort()
    slot = plan.inverse[image[plan.permutation]].reshape(-1, window)
    target, slot = slot // window, slot % window
    assert torch.equal(target, target[:, :1].expand_as(target))
    assert torch.equal(masked[target[:, 0]], masked)
    there = labels[target[:, 0]].gather(1, slot)
    for row in plan.masked.tolist():
        equal = labels[row, :, None] == labels[row]
        assert torch.equal(equal, there[row, :, None] == there[row])
    step = position[:, slot] - position[:, None]
    for label in range(int(labels.max()) + 1):
        chosen = labels == label
        first = chosen.long().argmax(dim=1)
        origin = step.gather(2, first.expand(2, 1, -1).transpose(1, 2))
        assert ((step == origin) | ~chosen).all()


@every_strategy
@pytest.mark.parametrize("faces", [*FACE_SETS[1:4], (4, 5, 6, 7), (0, 2, 4, 6, 9, 11)], ids=str)
@every_size
def test_it_commutes_with_every_turn_that_keeps_the_faces(
    nside: int, window: int, faces: tuple[int, ...], strategy: Strategy
) -> None:
    for turns in (2,) if period_of(faces) == 2 else (1, 2, 3):
        assert_commutes(nside, window, faces, strategy, turns)


@every_strategy
def test_it_commutes_on_every_set_that_a_turn_keeps(strategy: Strategy) -> None:
    every = (faces for size in range(1, 13) for faces in itertools.combinations(range(12), size))
    kept = [faces for faces in every if period_of(faces) < 4]
    assert len(kept) == 63
    for faces in kept:
        for window in (4, 16):
            assert_commutes(4, window, faces, strategy, period_of(faces))


@every_strategy
@every_set
@pytest.mark.parametrize(("nside", "window"), [size for size in SIZES if size[0] < 32])
def test_nobody_attends_far_away(
    nside: int, window: int, faces: tuple[int, ...], strategy: Strategy
) -> None:
    """Tokens with one label span no more than a window does.

    With ring it is up to 1.6 windows: near the poles and the corners of faces rings move by
    different steps, one pixel apart, which in a window of two by two is half its width.
    """
    plan, centres = shift_plan(nside, faces, window, strategy), pixel_centres(nside, faces)
    windows = centres.reshape(-1, window, 3)
    widest = torch.cdist(windows, windows).max()
    labels, moved = all_labels(plan, window), centres[plan.permutation].reshape(-1, window, 3)
    distance = torch.cdist(moved, moved)
    attending = labels[:, :, None] == labels[:, None, :]
    bound = {"grid": 1.0 + 1e-12, "roll": 1.0 + 1e-12, "ring": 1.6}[strategy]
    assert float(distance[attending].max() / widest) <= bound


@every_strategy
@pytest.mark.parametrize("window", [4, 16, 64])
def test_large_plans_are_quick_and_small(window: int, strategy: Strategy) -> None:
    """Token nside 128 on all faces: less than a second of processor time and 10 MB."""
    shifts._plan.cache_clear()
    start = time.process_time()
    plan = shift_plan(128, range(12), window, strategy)
    assert time.process_time() - start < 1
    assert plan.bytes < 10e6


@every_strategy
def test_a_window_of_one_token_stays(strategy: Strategy) -> None:
    plan = shift_plan(4, (3, 7), 1, strategy)
    assert torch.equal(plan.permutation, torch.arange(32))
    assert plan.masked.shape == (0,) and plan.labels.shape == (0, 1)


@every_strategy
@pytest.mark.parametrize("nside", [2, 8])
def test_a_face_that_is_alone_and_one_window_stays(nside: int, strategy: Strategy) -> None:
    plan = shift_plan(nside, (6,), nside**2, strategy)
    assert torch.equal(plan.permutation, torch.arange(nside**2)) and not len(plan.masked)


@every_strategy
def test_what_is_handed_out_is_the_callers(strategy: Strategy) -> None:
    first = shift_plan(8, (0, 1), 16, strategy)
    kept = first.permutation.clone(), first.labels.clone()
    first.permutation.zero_()
    first.inverse.zero_()
    first.labels.fill_(7)
    second = shift_plan(8, (0, 1), 16, strategy)
    assert torch.equal(second.permutation, kept[0]) and torch.equal(second.labels, kept[1])
    assert torch.equal(second.inverse[second.permutation], torch.arange(128))


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"^nside is 12; expected a power of two"):
        shift_plan(12, (0,), 4, "grid")
    with pytest.raises(ValueError, match=r"^faces is \(3, 12\); expected a rising list"):
        shift_plan(8, (3, 12), 4, "grid")
    with pytest.raises(ValueError, match=r"^window is 8; expected a power of four$"):
        shift_plan(8, (0,), 8, "ring")
    with pytest.raises(ValueError, match=r"^window is 0; expected a power of four$"):
        shift_plan(8, (0,), 0, "roll")
    with pytest.raises(ValueError, match=r"^window is 256; expected at most a face, 64 at nside 8"):
        shift_plan(8, (0,), 256, "grid")
    with pytest.raises(ValueError, match=r"^strategy is 'nest'; expected one of 'grid', 'ring'"):
        shift_plan(8, (0,), 4, "nest")  # type: ignore[arg-type]

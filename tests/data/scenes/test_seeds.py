"""Splits never share a scene, whatever their seeds and sizes."""

from __future__ import annotations

from typing import get_args

import pytest

from geocore.data.scenes.seeds import Split, scene_seed, split_of

SPLITS: tuple[Split, ...] = get_args(Split)


def test_no_two_scenes_share_a_seed() -> None:
    found = [scene_seed(seed, split, i) for seed in range(20) for split in SPLITS
             for i in range(1000)]  # fmt: skip
    assert len(set(found)) == len(found)
    assert all(0 <= number < 2**63 for number in found)


@pytest.mark.parametrize("split", SPLITS)
def test_a_seed_tells_its_split(split: Split) -> None:
    """So the sets of seeds of two splits are disjoint, for every seed and index, not by chance."""
    assert all(split_of(scene_seed(seed, split, 7919 * seed)) == split for seed in range(2000))


def test_seeds_stay_what_they_are() -> None:
    assert scene_seed(0, "train", 0) == 1524782277826257021
    assert scene_seed(0, "val", 0) == scene_seed(0, "train", 0) + 1


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="split is 'dev'; expected one of train, val, test"):
        scene_seed(0, "dev", 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seed is -1, index 0; expected no negative number"):
        scene_seed(-1, "train", 0)
    with pytest.raises(ValueError, match="expected 0 <= seed < 2\\^63"):
        split_of(-3)

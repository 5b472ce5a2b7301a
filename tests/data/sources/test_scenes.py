"""Rendered scenes: no scene in two splits, test scenes seen twice, the same however asked for."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geocore.camera.models import Pinhole
from geocore.camera.record import camera_from_dict
from geocore.data.scenes.classes import CLASSES
from geocore.data.scenes.folder import write_scenes
from geocore.data.sources.scenes import PINHOLE_VIEW, Scenes
from geocore.data.sources.woodscape import WoodScape
from geocore.so3.rotation import compose, geodesic_distance, inverse, quaternion_to_matrix

SIZE = (12, 16)


def poses_of(source: Scenes) -> torch.Tensor:
    return torch.from_numpy(source.poses)


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_no_scene_is_in_two_splits_whatever_n(seed: int) -> None:
    """Also of different sizes and seeds: training on one table and testing on another is fair."""
    drawn: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}
    for counts in itertools.product((1, 2, 7, 40), repeat=3):
        source = Scenes(counts, SIZE, 0.0, 30.0, seed)
        assert source.official == {"train": counts[0], "val": counts[1], "test": 3 * counts[2]}
        seeds, splits = np.array(source.seeds), np.asarray(source.splits)
        for split in range(3):
            mine = set(seeds[splits == split].tolist())
            assert len(mine) == counts[split]
            drawn[split] |= mine
    assert drawn[0].isdisjoint(drawn[1] | drawn[2]) and drawn[1].isdisjoint(drawn[2])
    assert [len(drawn[split]) for split in range(3)] == [40] * 3, "the larger begins as the smaller"


def test_test_scenes_are_seen_upright_tilted_and_rolled() -> None:
    source = Scenes((3, 2, 200), SIZE, 0.0, 35.0, 4)
    assert source.views == ("upright", "tilted", "rolled")
    seen = np.asarray(source.seen)
    assert seen.tolist() == [0] * 5 + [0, 1, 2] * 200
    assert source.seeds[5::3] == source.seeds[6::3] == source.seeds[7::3]
    poses = poses_of(source)
    upright = torch.tensor([1.0, 0, 0, 0]).double()
    assert float(geodesic_distance(poses[seen == 0], upright.expand(205, 4)).max()) < 1e-12
    tilts, rolls = poses[6::3], poses[7::3]
    angles = torch.rad2deg(geodesic_distance(tilts, upright.expand(200, 4)))
    torch.testing.assert_close(angles, torch.full_like(angles, 35.0), atol=1e-9, rtol=0)
    assert float(tilts[:, 3].abs().max()) < 1e-15, "its axis lies in the image plane"
    about = torch.atan2(tilts[:, 2], tilts[:, 1])
    # In every eighth of the circle: 200 uniform ones miss one with probability 2e-11.
    assert len(torch.unique((about / (torch.pi / 4)).floor())) == 8
    angles = torch.rad2deg(geodesic_distance(rolls, upright.expand(200, 4)))
    torch.testing.assert_close(angles, torch.full_like(angles, 35.0), atol=1e-9, rtol=0)
    assert not rolls[:, 1:3].any(), "about the optical axis"
    assert 60 < int((rolls[:, 3] > 0).sum()) < 140, "to either side"


def test_jitter_pitches_and_rolls_and_the_tilt_starts_from_there() -> None:
    source = Scenes((300, 1, 50), SIZE, 3.0, 35.0, 4)
    poses = poses_of(source)
    frames = quaternion_to_matrix(poses[:300])
    pitch = torch.rad2deg(torch.asin(-frames[:, 1, 2]))
    assert 2.8 < float(pitch.abs().max()) <= 3.0 and abs(float(pitch.mean())) < 0.4
    assert float(frames[:, 0, 2].abs().max()) < 1e-15, "no yaw"
    roll = torch.rad2deg(torch.atan2(frames[:, 1, 0], frames[:, 1, 1]))
    assert 2.8 < float(roll.abs().max()) <= 3.0
    relative = compose(inverse(poses[301::3]), poses[302::3])
    angles = torch.rad2deg(2 * torch.acos(relative[:, 0]))
    torch.testing.assert_close(angles, torch.full_like(angles, 35.0), atol=1e-6, rtol=0)
    # A scene keeps its jitter when there are more of them, and another tilt.
    other = Scenes((5, 1, 1), SIZE, 3.0, 0.0, 4)
    np.testing.assert_array_equal(other.poses[:5], source.poses[:5])
    np.testing.assert_allclose(other.poses[6], other.poses[7], atol=1e-15)


def test_frames_have_all_planes_and_rows_do_not_depend_on_each_other() -> None:
    source = Scenes((2, 1, 1), SIZE, 1.0, 40.0, 0)
    (whole,) = source.pieces(np.arange(6), 6)
    assert {name: (value.shape, str(value.dtype)) for name, value in whole.items()} == {
        "image": ((6, 12, 16, 3), "uint8"),
        "label": ((6, 12, 16), "uint8"),
        "valid": ((6, 12, 16), "bool"),
        "depth": ((6, 12, 16), "float32"),
    }
    assert source.classes == CLASSES and whole["label"].max() < len(CLASSES)
    sky = whole["label"] == CLASSES.index("sky")
    assert ((whole["depth"] == 0) == (sky | ~whole["valid"])).all()
    (some,) = source.pieces(np.array([1, 4]), 2)
    for name, value in some.items():
        np.testing.assert_array_equal(value, whole[name][[1, 4]])
    known = source.known(np.array([3, 4, 5]))
    assert known["view"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(known["rotation"], source.poses[3:])


def test_without_a_tilt_test_scenes_are_seen_once() -> None:
    tilted, once = Scenes((2, 1, 3), SIZE, 2.0, 30.0, 0), Scenes((2, 1, 3), SIZE, 2.0, None, 0)
    assert once.official == {"train": 2, "val": 1, "test": 3}
    assert once.views == () and once.seen is None and set(once.known(np.arange(6))) == {"rotation"}
    same = [0, 1, 2, 3, 6, 9]  # the upright views
    assert once.seeds == [tilted.seeds[row] for row in same]
    np.testing.assert_array_equal(once.poses, tilted.poses[same])


def test_a_pinhole_sees_the_same_world_with_straight_lines() -> None:
    """What its pixels see is what the fisheye sees in the same directions, up to a pixel."""
    fisheye = Scenes((2, 1, 1), (96, 128), 2.0, None, 0)
    pinhole = Scenes((2, 1, 1), (38, 60), 2.0, None, 0, PINHOLE_VIEW)
    assert fisheye.seeds == pinhole.seeds and fisheye.digest != pinhole.digest
    lens, wide = camera_from_dict(pinhole.camera), camera_from_dict(fisheye.camera)
    assert isinstance(lens, Pinhole) and (lens.height, lens.width) == (38, 60)
    rows, columns = torch.meshgrid(torch.arange(38.0), torch.arange(60.0), indexing="ij")
    u, v, seen = wide.project(lens.unproject(columns.double(), rows.double()))
    assert bool(seen.all())
    place = (v.round().long(), u.round().long())
    (near,), (far,) = fisheye.pieces(np.arange(2), 2), pinhole.pieces(np.arange(2), 2)
    assert far["valid"].all()
    taken = near["label"][:, place[0].numpy(), place[1].numpy()]
    assert (taken == far["label"]).mean() > 0.85  # edges of what is thin differ
    assert len(np.unique(far["label"])) > 3


def test_the_digest_tells_sources_apart() -> None:
    def digest(**changes: Any) -> str:
        base = {"counts": (2, 1, 1), "size": SIZE, "jitter": 1.0, "tilt": 40.0, "seed": 0}
        return Scenes(**{**base, **changes}).digest

    assert digest() == digest()
    others = [
        digest(counts=(3, 1, 1)),
        digest(size=(12, 18)),
        digest(jitter=2.0),
        digest(tilt=41.0),
        digest(seed=1),
        digest(tilt=None),
        digest(angle_of_view=60.0),
    ]
    assert len({digest(), *others}) == 8


def test_scenes_written_as_a_folder_come_back_through_its_loader(tmp_path: Path) -> None:
    """The same images, labels, depth, lens and poses by both ways."""
    source = Scenes((3, 1, 1), SIZE, 4.0, 40.0, 0)
    rows = np.array([0, 1, 2, 5 - 1])
    lens = camera_from_dict(source.camera)
    tilts = [torch.from_numpy(source.poses[row]) for row in rows]
    write_scenes(tmp_path, [source.seeds[row] for row in rows], lens, tilts)
    loaded = WoodScape(tmp_path, "FV")
    assert loaded.classes == source.classes and loaded.camera == source.camera
    (written,), (rendered,) = loaded.pieces(np.arange(4), 4), source.pieces(rows, 4)
    for name, value in rendered.items():
        np.testing.assert_array_equal(written[name], value, err_msg=name)
    assert loaded.poses is not None
    for row in range(3):  # of a tilt about any axis the loader takes the yaw for a heading
        np.testing.assert_allclose(
            np.abs(loaded.poses[row] @ source.poses[rows[row]]), 1, atol=1e-9
        )

"""Where the pictures of the sphere look, and what colours pixels are painted in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from geocore.camera.pose import look_at, tilted
from geocore.data.table import IGNORED, Table
from geocore.pipeline.dense_cells import OFF, Cells, Viewpoint, depth_limits
from geocore.pipeline.dense_grids import DenseSplit
from geocore.pipeline.dense_tally import Panel
from geocore.pipeline.palette import class_colours
from geocore.so3.rotation import matrix_to_quaternion, quaternion_to_matrix
from tests.pipeline.dense import CLASSES, HEIGHT, IMAGES, MAPS, WIDTH, on_the_sphere, samples
from tests.pipeline.dense import write_table as write

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("colatitude", "longitude"),
    [(0.0, 0.0), (0.0, 45.0), (90.0, 30.0), (60.0, -100.0), (180.0, 20.0)],
)
def test_the_picture_looks_as_an_upright_camera_does(colatitude: float, longitude: float) -> None:
    rotation = look_at(colatitude, longitude)
    right, down, ahead = quaternion_to_matrix(rotation).T
    expected = torch.stack([right, -down, ahead])
    found = Viewpoint.of(rotation[None].repeat(3, 1)).frame
    assert torch.allclose(found, expected, atol=1e-9)


def test_tilts_that_cancel_do_not_move_the_picture() -> None:
    upright = look_at(0.0, 30.0)
    turns = [tilted(*(torch.tensor(a).double() for a in (p, r, 0.0)))
             for p, r in ((20.0, 0.0), (-20.0, 0.0), (0.0, 15.0), (0.0, -15.0))]  # fmt: skip
    matrices = quaternion_to_matrix(upright) @ quaternion_to_matrix(torch.stack(turns))
    found = Viewpoint.of(matrix_to_quaternion(matrices))
    assert found.colatitude == 0
    assert found.longitude == pytest.approx(30, abs=1e-6)


def panel(tmp_path: Path, place: str, task: str, values: torch.Tensor | None = None) -> Panel:
    own = samples() if place == "plane" else on_the_sphere(samples())
    write(tmp_path, IMAGES if place == "plane" else MAPS, own)
    table = Table.open(tmp_path / ("data/projected" if place == "plane" else "data/healpix"))
    split = DenseSplit(table, "test", CPU, task)  # type: ignore[arg-type]
    targets = split.targets(torch.tensor([0]))[0]
    if values is None:
        values = torch.nn.functional.one_hot(
            torch.where(targets == IGNORED, 0, targets).long(), len(CLASSES)
        ).float()
    return Panel(split.place, split, 0, values, split.valid(torch.tensor([0]))[0], targets)


@pytest.mark.parametrize("place", ["plane", "sphere"])
def test_labels_are_painted_in_their_colours(tmp_path: Path, place: str) -> None:
    shown = panel(tmp_path, place, "segmentation")
    colour = 255 * class_colours(CLASSES)
    views: dict[int, object] = {}
    cells = Cells(shown, Viewpoint(0.0, 20.0), views)  # type: ignore[arg-type]
    image, label, predicted, error = cells.of_labels(colour)
    assert image.shape == label.shape == predicted.shape == error.shape
    painted = {tuple(row) for row in label.reshape(-1, 3).tolist()}
    known = {tuple(round(c) for c in row) for row in colour.tolist()}
    # On the sphere pixels are averaged at their edges, and there is a graticule.
    assert {(205, 205, 205)} | known <= painted
    if place == "plane":
        assert painted == known | {(205, 205, 205)}
        row, column = HEIGHT // 2, WIDTH // 2
        actual = int(shown.targets[row * WIDTH + column])
        step = label.shape[1] / WIDTH
        at = label[round((row + 0.5) * step), round((column + 0.5) * step)]
        expected = (205, 205, 205) if actual == IGNORED else colour[actual].round().tolist()
        assert at.tolist() == list(expected)
        assert {tuple(row) for row in error.reshape(-1, 3).tolist()} == {
            (236, 236, 238), (205, 205, 205)
        }, "all right"  # fmt: skip
    else:
        assert list(views) == [16], "one view for all maps"
    wrong = Cells(
        Panel(shown.grid, shown.split, 0, shown.values.roll(1, dims=1), shown.known, shown.targets),
        Viewpoint(0.0, 20.0),
        {},
    ).of_labels(colour)[3]
    assert (213, 94, 0) in {tuple(row) for row in wrong.reshape(-1, 3).tolist()}
    assert (236, 236, 238) not in {tuple(row) for row in wrong.reshape(-1, 3).tolist()}


def test_depths_are_dark_where_near_and_errors_where_small(tmp_path: Path) -> None:
    true = panel(tmp_path, "plane", "depth", torch.ones(HEIGHT * WIDTH, 1)).targets
    shown = panel(tmp_path, "plane", "depth", true[:, None] * (1 + OFF))
    low, high = depth_limits([shown])
    counted = true[true > 0]
    assert float(counted.min()) <= low < high <= float(counted.max())
    _, depth, _, error = Cells(shown, Viewpoint(0.0, 0.0), {}).of_depths((low, high))
    lightest = {tuple(row) for row in error.reshape(-1, 3).tolist()}
    assert lightest == {(205, 205, 205), (252, 253, 191)}, "all off by as much as is drawn"
    step = depth.shape[1] / WIDTH
    brightness = depth.astype(float).sum(axis=2)
    places = [
        divmod(int(p), WIDTH) for p in (torch.where(true > 0, true, 99).argmin(), true.argmax())
    ]
    near, far = (brightness[int((r + 0.5) * step), int((c + 0.5) * step)] for r, c in places)
    assert near < far
    assert np.isfinite(brightness).all()
    nothing = Panel(shown.grid, shown.split, 0, shown.values, shown.known, torch.zeros_like(true))
    assert depth_limits([nothing]) == (1.0, 2.0)

"""A measurement in pieces is the whole one, and its pieces follow from the parameters alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from geocore.config.evaluate import EvaluateParams
from geocore.data.table import Table
from geocore.pipeline.evaluation_pieces import Measurement
from geocore.pipeline.predictions import predict
from geocore.pipeline.symmetry_errors import symmetry_errors
from tests.pipeline.test_evaluate import write_model, write_table


def measured(root: Path, batch_size: int) -> Measurement:
    write_table(root)
    model = write_model(root)
    params = EvaluateParams(
        batch_size=batch_size, calibration_bins=5, rotations=2, samples=7, invalid_classes=(),
        chamfer_points=1, seed=3,
    )  # fmt: skip
    return Measurement.of(Table.open(root / "data/healpix"), model, params, "cpu")


def test_pieces_together_are_the_whole(tmp_path: Path) -> None:
    whole = measured(tmp_path, 3)
    pieces = whole.pieces()
    answers = [whole(*piece) for piece in reversed(pieces)][::-1]
    model, test = whole.model, whole.feeds["test"]
    for split, feed in whole.feeds.items():
        found = whole.predictions("plain", split, pieces, answers)
        assert torch.equal(found.logits, predict(model, feed, 3).logits)
        assert torch.equal(found.samples, feed.ids) and torch.equal(found.labels, feed.labels)
    turned = whole.predictions("so3", "test", pieces, answers)
    choice = torch.zeros(len(test), dtype=torch.int64)
    for what, _, number, start, stop in pieces:
        if what == "so3" and number == 1:
            choice[whole._positions(what, "test", number)[start:stop]] = 1
    assert 0 < int(choice.sum()) < len(test)
    changes = [rotation.act for rotation in whole.turns["so3"]]
    by_hand = predict(model, test, 3, changes=changes, chosen=choice)
    assert torch.equal(turned.logits, by_hand.logits)
    errors = whole.errors(pieces, answers)
    positions = torch.arange(7) * len(test) // 7
    expected = symmetry_errors(model, test, positions, whole.every, 3)
    for name in ("errors", "floors"):
        found, known = getattr(errors, name).numpy(), getattr(expected, name).numpy()
        assert found.shape == known.shape and np.array_equal(found, known, equal_nan=True)
    assert list(errors.layers) == list(expected.layers)
    assert torch.equal(errors.samples, expected.samples)


def test_no_piece_is_more_than_a_batch_and_all_are_passed_once(tmp_path: Path) -> None:
    whole = measured(tmp_path, 4)
    pieces = whole.pieces()
    assert pieces[0][0] == "traces", "the longest first"
    assert all(0 < stop - start <= 4 for *_, start, stop in pieces)
    test = len(whole.feeds["test"])
    expected = len(whole.feeds["val"]) + 3 * test + 7 * (1 + len(whole.every))
    assert sum(map(whole.passes, pieces)) == expected

"""``train``: which keys belong to which task, each mistake told in one line."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.load import validate
from geocore.config.train import TrainParams
from geocore.errors import UserError

CLASSES: dict[str, Any] = {
    "task": "classification", "loss": "cross_entropy", "class_weights": "none",
    "depth_scale": None, "seed": 0, "epochs": 2, "batch_size": 8, "lr": 0.01,
    "weight_decay": 0.05, "warmup_epochs": 1, "label_smoothing": 0.0, "clip_norm": 1.0,
    "patience": 3,
}  # fmt: skip
PIXELS = {**CLASSES, "task": "segmentation", "class_weights": "median_frequency"}
DEPTHS = {**CLASSES, "task": "depth", "loss": "l2", "depth_scale": "linear"}


@pytest.mark.parametrize("good", [CLASSES, PIXELS, DEPTHS])
def test_good_ones_pass(good: dict[str, Any]) -> None:
    params = validate(good, TrainParams, "params.yaml")
    assert isinstance(params, TrainParams)
    assert params.task == good["task"]


@pytest.mark.parametrize(
    ("base", "changes", "line"),
    [
        (CLASSES, {"task": "boxes"},
         'task is "boxes"; expected one of classification, segmentation, depth'),
        (CLASSES, {"loss": "l2"},
         'loss is "l2"; expected cross_entropy with train.task classification'),
        (PIXELS, {"loss": "huber"},
         'loss is "huber"; expected cross_entropy with train.task segmentation'),
        (DEPTHS, {"loss": "cross_entropy"},
         'loss is "cross_entropy"; expected l1, l2, huber or gaussian_nll with train.task depth'),
        (CLASSES, {"class_weights": "inverse_frequency"},
         'class_weights is "inverse_frequency"; expected none with train.task classification'),
        (DEPTHS, {"class_weights": "inverse_frequency"},
         'class_weights is "inverse_frequency"; expected none with train.task depth'),
        (DEPTHS, {"depth_scale": None},
         "depth_scale is null; expected linear or log with train.task depth"),
        (PIXELS, {"depth_scale": "log"},
         'depth_scale is "log"; expected null with train.task segmentation'),
        (DEPTHS, {"label_smoothing": 0.1},
         "label_smoothing is 0.1; expected 0 with train.task depth"),
    ],
)  # fmt: skip
def test_a_key_of_another_task(base: dict[str, Any], changes: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as error:
        validate({**base, **changes}, TrainParams, "params.yaml")
    assert str(error.value) == f"params.yaml: train.{line}"

"""Detection heads: what is found turns with the image."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn

from geocore.config.laws import LawsParams
from geocore.groups.convolution import GroupConvolution, LiftingConvolution
from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import moved
from geocore.groups.smooth_law import centre_error
from geocore.groups.steerable import Layer, SteerableNetwork
from geocore.groups.steerable_fields import Feature, Fields, Symmetry
from geocore.models.detection import Detector, HeadLayout, RegularHead, SteerableHead
from geocore.models.detection_decoding import Detections, decode, turned_boxes
from geocore.pipeline.constructions import Case, Construction, worst
from geocore.pipeline.planar_constructions import noise, other_elements

__all__ = ["DETECTING"]

_CLASSES = 10


class _Stacked(nn.Module):
    """A detector whose predictions are one tensor, so that it is timed as the others are."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> Tensor:
        channels: Tensor = self.detector.head(self.detector.backbone(images))
        return channels


def _case(detector: Detector, symmetry: Symmetry, params: LawsParams, dtype: torch.dtype) -> Case:
    group, side = PlanarGroup(4, symmetry.reflections), params.image_size
    x = noise(params, dtype, 2)
    settings = {"stride": 1, "shape": (side, side), "threshold": 0.0, "most": 50}

    def exact() -> float:
        """What is found in the turned image against what was found, turned."""
        errors = []
        with torch.no_grad():
            plain = decode(detector(x), **settings)  # type: ignore[arg-type]
            for g in group:
                quarter, mirrored = group.parts(g)
                turned = decode(detector(moved(group, g, x)), **settings)  # type: ignore[arg-type]
                for one, two in zip(plain, turned, strict=True):
                    box = turned_boxes(one.box, quarter, bool(mirrored), side)
                    errors.append(_apart(two, Detections(one.label, one.score, box), side))
        return worst(errors)

    module, others = _Stacked(detector), other_elements(symmetry, params.elements)

    def sampled() -> float:
        fields = Fields(symmetry, detector.layout.features)
        return worst(centre_error(module, fields.matrix(g), g, side, dtype=dtype) for g in others)

    return Case(module, partial(noise, params, dtype), exact, sampled if others else None)


def _apart(found: Detections, expected: Detections, side: int) -> float:
    """The largest difference of scores, and of boxes in parts of the side; 1 for other classes.

    NaN where nothing is found in either: nothing is measured then, and scores of NaN find nothing.
    """
    if not torch.equal(found.label, expected.label):
        return 1.0
    if len(found.label) == 0:
        return math.nan
    scores = (found.score - expected.score).abs()
    boxes = (found.box - expected.box).abs() / side
    return worst([*scores.tolist(), *boxes.flatten().tolist()])


def _on_group_convolutions(
    kind: str, reflections: bool, params: LawsParams, dtype: torch.dtype
) -> Case:
    group, generator = PlanarGroup(4, reflections), torch.Generator().manual_seed(params.seed)
    backbone = nn.Sequential(
        LiftingConvolution(group, 1, 4, 5, generator),
        nn.ReLU(),
        GroupConvolution(group, 4, 4, 5, generator),
        nn.ReLU(),
    )
    head = RegularHead(group, 4, HeadLayout(kind, _CLASSES), generator)
    return _case(Detector(backbone, head).to(dtype), Symmetry(4, reflections), params, dtype)


def _on_steerable_layers(kind: str, name: str, params: LawsParams, dtype: torch.dtype) -> Case:
    symmetry, generator = Symmetry.named(name), torch.Generator().manual_seed(params.seed)
    features = (Feature("trivial", 4), Feature("vector", 4), Feature("tensor", 4))
    backbone = SteerableNetwork(
        symmetry,
        (Feature("trivial"),),
        [Layer(features, 5)] * 2,
        generator=generator,
        dtype=dtype,
    )
    head = SteerableHead(backbone.fields_out, HeadLayout(kind, _CLASSES), 3, generator, dtype)
    return _case(Detector(backbone, head), symmetry, params, dtype)


_LAW = "found(g f) = g found(f): classes, scores, boxes"
DETECTING = (
    Construction(
        "class and box, C4", "plane", "C4", _LAW, partial(_on_group_convolutions, "box", False)
    ),
    Construction(
        "class and box, D4", "plane", "D4", _LAW, partial(_on_group_convolutions, "box", True)
    ),
    Construction(
        "class and mask, SO2", "plane", "SO2", _LAW, partial(_on_steerable_layers, "mask", "SO2")
    ),
    Construction(
        "class and mask, O2", "plane", "O2", _LAW, partial(_on_steerable_layers, "mask", "O2")
    ),
)

"""Small equivariant detectors, on backbones of either making."""

from __future__ import annotations

import torch
from torch import nn

from geocore.groups.convolution import GroupConvolution, LiftingConvolution
from geocore.groups.finite import PlanarGroup
from geocore.groups.steerable import Layer, SteerableNetwork
from geocore.groups.steerable_fields import Feature, Symmetry
from geocore.models.detection import Detector, HeadLayout, RegularHead, SteerableHead


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def by_group_convolutions(
    kind: str,
    group: PlanarGroup,
    classes: int = 3,
    width: int = 4,
    kernels: tuple[int, ...] = (5, 3),
) -> Detector:
    generator = seeded()
    layers: list[nn.Module] = [
        LiftingConvolution(group, 1, width, kernels[0], generator=generator),
        nn.ReLU(),
    ]
    for size in kernels[1:]:
        layers += [GroupConvolution(group, width, width, size, generator=generator), nn.ReLU()]
    head = RegularHead(group, width, HeadLayout(kind, classes), generator)
    return Detector(nn.Sequential(*layers), head)


def by_steerable_layers(
    kind: str, name: str, classes: int = 3, dtype: torch.dtype = torch.float64, pool: bool = False
) -> Detector:
    symmetry = Symmetry.named(name)
    regular = (Feature("regular", 3),) if symmetry.n else ()
    features = (*regular, Feature("trivial", 4), Feature("vector", 3), Feature("tensor", 2))
    layers = [Layer(features, 5, pool="average" if pool else None), Layer(features, 3)]
    backbone = SteerableNetwork(
        symmetry, (Feature("trivial"),), layers, generator=seeded(), dtype=dtype
    )
    head = SteerableHead(backbone.fields_out, HeadLayout(kind, classes), 3, seeded(), dtype)
    return Detector(backbone, head, stride=2 if pool else 1)

"""The quantised network in plain torch: the truth that a chip's every bit is held against."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from geocore.edge.description import QuantisedModel

__all__ = ["reference_logits"]


def reference_logits(model: QuantisedModel, images: Tensor) -> Tensor:
    """Logits ``(n, classes)`` float64 of ``images (n, height, width, channels)``, exactly.

    Integers are carried by float64, which is exact up to 2^53; accumulators are far narrower.
    Rounding is to the nearest, ties to even, and what a format does not hold saturates.
    """
    if images.shape[1:] != model.shape:
        raise ValueError(f"images are {tuple(images.shape[1:])}; expected {model.shape}")
    here = model.input.quantise(images).double().permute(0, 3, 1, 2)
    for layer in model.layers:
        weight, bias = layer.weight.double(), layer.bias.double()
        if layer.kind == "convolution":
            sums = F.conv2d(here, weight, bias, padding=1)
        else:
            sums = F.linear(here.permute(0, 2, 3, 1).flatten(1), weight, bias)
        values = sums * 2.0**-layer.fraction
        if layer.output is None:
            return values
        # An unsigned format has no negative numbers, so saturation is the ReLU.
        here = F.max_pool2d(layer.output.quantise(values).double(), 2)
    raise ValueError("the model's last layer has an output format; expected logits as they are")

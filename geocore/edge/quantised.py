"""The quantised student: Brevitas' layers on grids with a power-of-two step."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, Convolution, Dense, MaxPool, Node, Shape, Weighted
from geocore.edge.student import Student
from geocore.edge.tools import quiet_import
from geocore.train.feed import Feed

__all__ = ["Bits", "QuantisedStudent", "activation_peaks", "exact_logits"]

_CALIBRATED_ON = 1024


@dataclass(frozen=True)
class Bits:
    """Bits of weights (signed, symmetric), of activations and of images (both unsigned)."""

    weights: int
    activations: int
    inputs: int


class QuantisedStudent(nn.Module):
    """The float student with its batch norms folded, every number on a fixed-point grid.

    - images: ``inputs`` bits over [0, 1), the step is ``2^-inputs``;
    - weights: the least power-of-two step at which the largest of a layer's still fits, so it
      follows the weights while they are trained;
    - activations, after each ReLU: a step that is learnt as ``2^ceil(p)``, and that begins at
      the least one at which ``peaks`` fit;
    - biases: 32 bits on the grid of the layer's products;
    - logits: the last accumulator as it is.

    Gradients pass rounding straight through (Bengio et al., arXiv:1308.3432; the quantisers are
    Brevitas'). Shapes are the float student's.
    """

    def __init__(self, student: Student, shape: Shape, bits: Bits, peaks: Sequence[float]) -> None:
        super().__init__()
        self.shape = shape
        layers = _Layers(bits)
        self.input = layers.activation("QuantIdentity", bits.inputs, 1 - 2.0**-bits.inputs)
        self.input.requires_grad_(False)  # what a pixel is does not change
        *pairs, head = student.folded()
        self.convolutions = nn.ModuleList(layers.weighted(*pair) for pair in pairs)
        self.activations = nn.ModuleList(
            layers.activation("QuantReLU", bits.activations, peak) for peak in peaks
        )
        self.head = layers.weighted(*head)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(n, classes)`` of images ``(n, height, width, channels)`` in [0, 1]."""
        here = self.input(images.permute(0, 3, 1, 2))
        for convolution, activation in zip(self.convolutions, self.activations, strict=True):
            here = F.max_pool2d(activation(convolution(here)), 2)
        logits = self.head(here.permute(0, 2, 3, 1).flatten(1))
        return _plain(logits)

    def describe(self) -> QuantisedModel:
        """The network's integers and formats, as they are now."""
        nodes: list[Node] = []
        source, here = IMAGES, _format(self.input)
        for number, convolution in enumerate(self.convolutions):
            output = _format(self.activations[number])
            nodes.append(_described(convolution, f"convolution_{number}", source, here, output))
            nodes.append(MaxPool(f"pooling_{number}", (nodes[-1].name,)))
            source, here = nodes[-1].name, output
        nodes.append(_described(self.head, "dense", source, here, None))
        return QuantisedModel(self.shape, _format(self.input), tuple(nodes))


def activation_peaks(student: Student, feed: Feed) -> list[float]:
    """The largest value that each block's ReLU gives, in evaluation mode, on a feed's first images.

    A thousand or so: they set where the learning of the steps begins.
    """
    images, _ = feed(torch.arange(min(len(feed), _CALIBRATED_ON)))
    mode = student.training
    student.eval()
    with torch.no_grad():
        peaks = [float(found.max()) for found in student.activations(images)]
    student.train(mode)
    # A block that is silent on all of them still needs a step.
    return [max(peak, 2.0**-8) for peak in peaks]


def exact_logits(student: QuantisedStudent, feed: Feed, batch_size: int) -> Tensor:
    """Logits ``(n, classes)`` float64 of the quantised student over a feed, in the feed's order.

    In float64, where each of its sums is exact: every number is a small integer times a power of
    two, but float32 would round a sum of more than 24 bits.
    """
    model = copy.deepcopy(student).double().eval()
    with torch.no_grad():
        found = [
            model(feed(positions)[0].double())
            for positions in torch.arange(len(feed)).split(batch_size)
        ]
    return torch.cat(found)


class _Layers:
    """Brevitas' layers with the quantisers that ``QuantisedStudent`` describes."""

    def __init__(self, bits: Bits) -> None:
        self._layers: Any = quiet_import("brevitas.nn")
        self._quant: Any = quiet_import("brevitas.quant")
        self._bits = bits

    def activation(self, kind: str, bits: int, highest: float) -> nn.Module:
        """A layer of that kind onto the unsigned grid whose step is the least for ``highest``."""
        module: nn.Module = getattr(self._layers, kind)(
            act_quant=self._quant.Uint8ActPerTensorFixedPointMaxInit,
            bit_width=bits,
            max_val=highest,
            return_quant_tensor=True,
        )
        return module

    def weighted(self, weight: Tensor, bias: Tensor) -> nn.Module:
        """A convolution 3x3 or a linear map with these weights."""
        out, given, *kernel = weight.shape
        common = {
            "bias": True,
            "weight_quant": self._quant.Int8WeightPerTensorFixedPoint,
            "weight_bit_width": self._bits.weights,
            "bias_quant": self._quant.Int32Bias,
        }
        with torch.random.fork_rng(devices=[]):  # it draws initial weights, which are not kept
            if kernel:
                layer = self._layers.QuantConv2d(given, out, 3, padding=1, **common)
            else:
                layer = self._layers.QuantLinear(given, out, **common)
        layer.weight.data.copy_(weight)
        layer.bias.data.copy_(bias)
        module: nn.Module = layer
        return module


def _plain(value: Any) -> Tensor:
    """A tensor, out of Brevitas' own that carries its scale."""
    tensor: Tensor = value if isinstance(value, Tensor) else value.value
    return tensor


def _format(activation: Any) -> FixedPoint:
    quantiser = activation.act_quant
    return FixedPoint(
        int(quantiser.bit_width()), _fraction(quantiser.scale()), bool(quantiser.is_signed)
    )


def _described(
    module: Any, name: str, source: str, given: FixedPoint, output: FixedPoint | None
) -> Weighted:
    with torch.no_grad():
        weight = module.quant_weight()
    grid = FixedPoint(int(weight.bit_width), _fraction(weight.scale), signed=True)
    bias = FixedPoint(32, grid.fraction + given.fraction, signed=True)
    about: dict[str, Any] = {
        "name": name,
        "sources": (source,),
        "weight": grid.quantise(weight.value.detach()),
        "bias": bias.quantise(module.bias.detach()),
        "weight_format": grid,
        "input": given,
        "output": output,
    }
    return Convolution(**about, padding=(1, 1, 1, 1)) if weight.value.ndim == 4 else Dense(**about)


def _fraction(scale: Tensor) -> int:
    """``f`` of a step ``2^-f``."""
    mantissa, exponent = torch.frexp(scale.detach())
    if scale.numel() != 1 or float(mantissa) != 0.5:
        raise ValueError(f"scale is {scale.tolist()}; expected one power of two")
    return 1 - int(exponent)

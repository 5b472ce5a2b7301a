"""A quantised network as integers and formats: what every back end is held against."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from torch import Tensor

from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.student import Shape, spatial_sizes

__all__ = ["QuantisedLayer", "QuantisedModel"]


@dataclass(frozen=True)
class QuantisedLayer:
    """``sum_i w_i x_i + b`` in integers, then, but for the last layer, ReLU onto ``output``.

    ``weight`` is ``(out, in, 3, 3)`` of a convolution, which max-pooling over 2x2 follows, or
    ``(out, in)``; ``bias (out,)`` lies on the accumulator's grid. All are int64. ``output`` is
    None where the accumulator itself is given on: the logits.
    """

    name: str
    kind: Literal["convolution", "dense"]
    weight: Tensor
    bias: Tensor
    weight_format: FixedPoint
    input: FixedPoint
    output: FixedPoint | None

    @property
    def fraction(self) -> int:
        """Fractional bits of a product, and so of the accumulator: those of both factors."""
        return self.weight_format.fraction + self.input.fraction

    @property
    def bias_format(self) -> FixedPoint:
        """The narrowest format on the accumulator's grid that holds every bias."""
        return FixedPoint.covering(int(self.bias.min()), int(self.bias.max()), self.fraction)

    @property
    def accumulator(self) -> FixedPoint:
        """The narrowest format that no sum can leave, whatever the inputs and their order.

        An input lies in ``[0, highest]``, so a sum of any of an output's products and its bias
        lies between all the negative terms and all the positive ones at the highest inputs. The
        bounds are taken over the outputs; they are reached, so one bit less would wrap.
        """
        if self.input.signed:
            raise ValueError(f"input of {self.name} is {self.input}; expected an unsigned format")
        terms = self.weight.flatten(1) * self.input.highest
        terms = torch.cat([terms, self.bias[:, None]], dim=1)
        low, high = terms.clamp(max=0).sum(dim=1).min(), terms.clamp(min=0).sum(dim=1).max()
        return FixedPoint.covering(int(low), int(high), self.fraction)

    @property
    def fan_in(self) -> int:
        """Products that make up one output."""
        return self.weight[0].numel()


@dataclass(frozen=True)
class QuantisedModel:
    """Images ``shape (height, width, channels)`` on the grid ``input``, through ``layers``."""

    shape: Shape
    input: FixedPoint
    layers: tuple[QuantisedLayer, ...]

    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of the image and after each convolution's pooling."""
        return spatial_sizes(self.shape, len(self.layers) - 1)

    def multiplications(self) -> list[int]:
        """Multiplications an image in each layer, those by zero included.

        Those of a convolution are taken at every position of its output, at the border as well.
        """
        places = [height * width for height, width in self.sizes()[:-1]] + [1]
        return [
            place * layer.weight.numel() for place, layer in zip(places, self.layers, strict=True)
        ]

    def bit_operations(self) -> list[int]:
        """Products of single bits: multiplications times the bits of weight and input."""
        return [
            count * layer.weight_format.bits * layer.input.bits
            for count, layer in zip(self.multiplications(), self.layers, strict=True)
        ]

    def tensors(self) -> dict[str, Tensor]:
        """``LAYER.weight`` and ``LAYER.bias`` in integers: int32, or int64 where they need it."""
        found: dict[str, Tensor] = {}
        for layer in self.layers:
            for part, value in (("weight", layer.weight), ("bias", layer.bias)):
                small = int(value.abs().max()) < 2**31
                found[f"{layer.name}.{part}"] = value.int() if small else value
        return found

    def about(self) -> str:
        """The formats as JSON: with ``tensors`` the whole model. One text for equal models."""
        layers = [
            {
                "name": layer.name,
                "kind": layer.kind,
                "weight": dataclasses.asdict(layer.weight_format),
                "input": dataclasses.asdict(layer.input),
                "output": None if layer.output is None else dataclasses.asdict(layer.output),
            }
            for layer in self.layers
        ]
        about = {
            "version": 1,
            "shape": list(self.shape),
            "input": dataclasses.asdict(self.input),
            "layers": layers,
        }
        return json.dumps(about, sort_keys=True)

    @classmethod
    def join(cls, about: str, tensors: Mapping[str, Tensor]) -> QuantisedModel:
        """The inverse of ``about`` and ``tensors``. Raises ``ValueError`` for anything else."""
        try:
            value: dict[str, Any] = json.loads(about)
            layers = tuple(
                QuantisedLayer(
                    name=entry["name"],
                    kind=entry["kind"],
                    weight=tensors[f"{entry['name']}.weight"].long(),
                    bias=tensors[f"{entry['name']}.bias"].long(),
                    weight_format=FixedPoint(**entry["weight"]),
                    input=FixedPoint(**entry["input"]),
                    output=None if entry["output"] is None else FixedPoint(**entry["output"]),
                )
                for entry in value["layers"]
            )
            height, width, channels = value["shape"]
            return cls((height, width, channels), FixedPoint(**value["input"]), layers)
        except (KeyError, TypeError) as error:
            raise ValueError(f"about lacks {error}; expected a model's description") from error

    @classmethod
    def read(cls, path: Path, prefix: str = "") -> QuantisedModel:
        """The model in a safetensors file: tensors below ``prefix``, formats in its metadata."""
        with safe_open(path, "pt") as file:
            about = (file.metadata() or {}).get("quantised")
            if about is None:
                raise ValueError(f"{path}: its metadata has no 'quantised'; expected a description")
            tensors = {
                name.removeprefix(prefix): file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118  no mapping, it has keys alone
                if name.startswith(prefix)
            }
        return cls.join(about, tensors)

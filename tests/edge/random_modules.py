"""Random torch modules: branches, strides, paddings, pools, sums; some with a layer to refuse."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.edge.nodes import Shape

__all__ = ["RandomModule", "random_images", "random_module", "refusals"]


class Step(nn.Module):
    """A function of one value or more as a module, so that it has a name."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, *values: Tensor) -> Tensor:
        if self.kind == "add":
            return values[0] + values[1]
        if self.kind == "cat":
            return torch.cat(values, dim=1)
        if self.kind == "relu":
            return F.relu(values[0])
        if self.kind == "pool":
            return F.max_pool2d(values[0], 2)
        if self.kind == "interpolate":
            return F.interpolate(values[0], scale_factor=2, mode="nearest")
        if self.kind == "pad":
            return F.pad(values[0], (1, 0, 0, 2))
        if self.kind == "last":
            return values[0].permute(0, 2, 3, 1)
        if self.kind == "first_flat":
            return values[0].flatten(1)
        if self.kind == "last_flat":
            return values[0].permute(0, 2, 3, 1).reshape(values[0].shape[0], -1)
        if self.kind == "square":
            return values[0] * values[0]
        if self.kind == "branching":
            return values[0] if values[0].sum() > 0 else -values[0]
        raise AssertionError(self.kind)


class RandomModule(nn.Module):
    """Layers in order with the places of the values that each reads; the last value is given.

    ``refused`` is the class of the layer in it that no chip takes, or none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        self.sources: list[tuple[int, ...]] = []
        self.refused: str | None = None

    def forward(self, images: Tensor) -> Tensor:
        values = [images.permute(0, 3, 1, 2)]
        for layer, sources in zip(self.layers, self.sources, strict=True):
            values.append(layer(*(values[place] for place in sources)))
        return values[-1]

    def put(self, layer: nn.Module, *sources: int) -> int:
        """The place of the value of a new layer."""
        self.layers.append(layer)
        self.sources.append(sources)
        return len(self.sources)


def refusals(channels: int) -> dict[str, nn.Module]:
    """Layers that must be refused, by what they are; of that many channels, padded to one size."""
    return {
        "dilation": nn.Conv2d(channels, 3, 3, padding=2, dilation=2),
        "groups": nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        if channels > 1
        else nn.Conv2d(1, 2, 3, padding=2, dilation=2),
        "reflection": nn.Conv2d(channels, 2, 3, padding=1, padding_mode="reflect"),
        "strides": nn.Conv2d(channels, 2, 3, stride=(1, 2), padding=1),
        "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
        "PReLU": nn.PReLU(),
        "LeakyReLU": nn.LeakyReLU(),
        "Sigmoid": nn.Sigmoid(),
        "ReLU6": nn.ReLU6(),
        "ConvTranspose2d": nn.ConvTranspose2d(channels, 2, 2, stride=2),
        "AdaptiveAvgPool2d": nn.AdaptiveAvgPool2d(2),
        "AvgPool2d": nn.AvgPool2d(2),
        "MaxPool2d": nn.MaxPool2d(3, stride=1, padding=1),
        "GroupNorm": nn.GroupNorm(1, channels),
        "InstanceNorm2d": nn.InstanceNorm2d(channels),
        "Dropout2d": nn.Dropout2d(),
        "ReflectionPad2d": nn.ReflectionPad2d(1),
        "constant": nn.ConstantPad2d(1, 0.5),
        "mul": Step("square"),
        "traceable": Step("branching"),
    }


def random_module(seed: int, refused: float = 0.2) -> tuple[RandomModule, Shape]:
    """One in evaluation mode, norms that do something, for images of the shape beside it.

    Some end in linear maps, some in a map of classes. With probability ``refused`` one of
    ``refusals`` stands in it, and the module's ``refused`` says which.
    """
    draw = random.Random(seed)
    shape = (draw.randint(6, 11), draw.randint(6, 11), draw.randint(1, 3))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = _grown(draw, shape, draw.random() < refused)
        _shake(found)
    return found.eval(), shape


def random_images(count: int, shape: Shape, seed: int = 0) -> Tensor:
    """Noise in [0, 1], float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, *shape, generator=generator, dtype=torch.float64)


def _grown(draw: random.Random, shape: Shape, spoiled: bool) -> RandomModule:
    made = RandomModule()
    here, (height, width, channels) = 0, shape
    if draw.random() < 0.3:  # of the input: the next convolution is valid
        here = made.put(nn.BatchNorm2d(channels), here)
        channels, grown = draw.randint(2, 4), channels
        here = made.put(nn.Conv2d(grown, channels, 3, bias=draw.random() < 0.5), here)
        here = made.put(nn.ReLU(), here)
        height, width = height - 2, width - 2
    blocks = draw.randint(1, 4)
    spoil_at = draw.randrange(blocks) if spoiled else -1
    for number in range(blocks):
        if number == spoil_at:
            made.refused, layer = draw.choice(sorted(refusals(channels).items()))
            made.put(layer, here)
            return made
        kind = draw.choice(["plain", "plain", "residual", "inception", "strided", "up", "padded"])
        small = min(height, width)
        if kind == "plain":
            out = draw.randint(1, 4)
            here = _block(made, draw, here, channels, out, draw.choice([1, 3]))
            channels = out
            if small >= 6 and draw.random() < 0.6:
                here = made.put(draw.choice([nn.MaxPool2d(2), Step("pool")]), here)
                height, width = height // 2, width // 2
        elif kind == "residual":
            one = _block(made, draw, here, channels, channels, 3, relu=draw.random() < 0.5)
            here = made.put(Step("add"), one, here)
            if draw.random() < 0.6:
                here = made.put(nn.ReLU(), here)
        elif kind == "inception":
            left, right = draw.randint(1, 3), draw.randint(1, 3)
            one = _block(made, draw, here, channels, left, 1, relu=draw.random() < 0.5)
            two = _block(made, draw, here, channels, right, 3, relu=draw.random() < 0.5)
            here = made.put(Step("cat"), one, two)
            channels = left + right
        elif kind == "strided" and small >= 4:
            even = height // 2 * 2 == height and width // 2 * 2 == width
            out = draw.randint(1, 3)
            one = made.put(nn.Conv2d(channels, out, 3, stride=2, padding=1), here)
            channels_in, channels, height, width = channels, out, -(-height // 2), -(-width // 2)
            if even:  # as the first block of ENet
                two = made.put(nn.MaxPool2d(2), here)
                one = made.put(Step("cat"), one, two)
                channels += channels_in
            here = made.put(nn.ReLU(), one) if draw.random() < 0.7 else one
        elif kind == "up" and small <= 6:
            here = made.put(draw.choice([nn.Upsample(scale_factor=2), Step("interpolate")]), here)
            height, width = 2 * height, 2 * width
        else:
            sides = (1, 0, 0, 2)
            pads = [nn.ZeroPad2d(sides), nn.ConstantPad2d(sides, 0.0), Step("pad")]
            here = made.put(draw.choice(pads), here)
            out = draw.randint(1, 3)
            here = made.put(nn.Conv2d(channels, out, 2), here)
            channels, height = out, height + 1
            here = made.put(draw.choice([nn.ReLU(), nn.Identity(), nn.Dropout(0.5)]), here)
    _end(made, draw, here, height * width * channels, channels)
    return made


def _block(
    made: RandomModule,
    draw: random.Random,
    here: int,
    given: int,
    out: int,
    size: int,
    relu: bool = True,
) -> int:
    normed = draw.random() < 0.6
    padding: int | str = "same" if draw.random() < 0.5 else size // 2
    here = made.put(nn.Conv2d(given, out, size, padding=padding, bias=not normed), here)
    if normed:
        here = made.put(nn.BatchNorm2d(out), here)
    return made.put(draw.choice([nn.ReLU(), Step("relu")]), here) if relu else here


def _end(made: RandomModule, draw: random.Random, here: int, numbers: int, channels: int) -> None:
    if draw.random() < 0.3:
        here = made.put(nn.Conv2d(channels, 3, 1), here)
        made.put(Step("last"), here)
        return
    here = made.put(draw.choice([nn.Flatten(), Step("first_flat"), Step("last_flat")]), here)
    if draw.random() < 0.5:
        here = made.put(nn.Linear(numbers, 5, bias=False), here)
        here = made.put(nn.BatchNorm1d(5), here)
        here = made.put(nn.ReLU(), here)
        numbers = 5
    made.put(nn.Linear(numbers, 3), here)


def _shake(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            assert layer.running_mean is not None and layer.running_var is not None
            with torch.no_grad():
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.3, 2)
                layer.weight.uniform_(-1.5, 1.5)
                layer.bias.normal_(0, 0.4)

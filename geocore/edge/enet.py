"""The compressed ENet: segmentation small enough for one chip.

The network of "Real-time semantic segmentation on FPGAs for autonomous vehicles with hls4ml"
(arXiv:2205.07690), after ENet (arXiv:1606.02147). Each bottleneck adds two ways:

- the main one: a 1x1 convolution, a 3x3 convolution, a 1x1 convolution;
- the skip: a 1x1 convolution;

with a batch norm behind every convolution, a ReLU behind the first two and behind the sum. A
bottleneck that goes down pools its input before both ways and begins with a 2x2 convolution; one
that goes up has nearest upsampling behind the skip's convolution and before the 3x3 one. Nothing is
unpooled and no convolution is transposed. The numbers of blocks, ways and convolutions, and where
things are pooled and upsampled, are those of the authors' firmware, whose list of layers is public
(github.com/nicologhielmetti/enet-script, ``hls4ml_config.yml``).

What differs from theirs: they have 5,643 kernel weights and 11.65 M multiplications an image, here
are 5,473 and 11.75 M, for how many filters their first convolution has is not published, and no
number of it meets both; batch norm and ReLU act on the first convolution alone and not on the
pooled image beside it, which the convolutions behind can make up for; the first convolution sees
the image itself, with stride 2, as the paper says (the firmware pools first).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["COMPRESSED", "Enet"]

COMPRESSED = (6, 6, 6, 8, 8, 8, 4, 4, 4, 2, 2, 2, 2, 2)
_DOWN, _UP = (0, 3), (9, 12)
_INITIAL = 15


class Enet(nn.Module):
    """Images ``(n, height, width, 3)`` in [0, 1] to logits ``(n, height, width, classes)``.

    ``filters`` are those of the fourteen bottlenecks, or one number for all; ``initial`` those of
    the first convolution, beside the three of the pooled image. Height and width are multiples of
    8. 58 convolutions, of which the last is 2x2 on a map of the image's size.
    Raises ``ValueError`` for other numbers of filters and for those below one.
    """

    def __init__(
        self,
        filters: int | Sequence[int] = COMPRESSED,
        classes: int = 4,
        *,
        initial: int = _INITIAL,
    ) -> None:
        super().__init__()
        each = [filters] * len(COMPRESSED) if isinstance(filters, int) else list(filters)
        if len(each) != len(COMPRESSED):
            raise ValueError(f"filters are {len(each)}; expected {len(COMPRESSED)}, or one number")
        if min(*each, classes, initial) < 1:
            raise ValueError(
                f"filters are {each}, classes {classes} and initial {initial}; expected at least 1"
            )
        self.initial = _Convolution(3, initial, 3, stride=2, relu=True)
        self.pooled = nn.MaxPool2d(2)
        here = initial + 3
        self.bottlenecks = nn.ModuleList()
        for place, out in enumerate(each):
            self.bottlenecks.append(_Bottleneck(here, out, place in _DOWN, place in _UP))
            here = out
        self.upsampled = _twice()
        self.padded = nn.ZeroPad2d((0, 1, 0, 1))
        self.final = nn.Conv2d(here, classes, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of every pixel."""
        given = images.permute(0, 3, 1, 2)
        here = torch.cat([self.initial(given), self.pooled(given)], dim=1)
        for bottleneck in self.bottlenecks:
            here = bottleneck(here)
        logits: Tensor = self.final(self.padded(self.upsampled(here)))
        return logits.permute(0, 2, 3, 1)


class _Bottleneck(nn.Module):
    def __init__(self, given: int, out: int, down: bool, up: bool) -> None:
        super().__init__()
        self.pooled = nn.MaxPool2d(2) if down else nn.Identity()
        self.reduce = _Convolution(given, out, 2 if down else 1, relu=True)
        self.upsampled = _twice() if up else nn.Identity()
        self.main = _Convolution(out, out, 3, relu=True)
        self.expand = _Convolution(out, out, 1)
        self.skip = _Convolution(given, out, 1)
        self.skip_upsampled = _twice() if up else nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, value: Tensor) -> Tensor:
        here = self.pooled(value)
        main = self.expand(self.main(self.upsampled(self.reduce(here))))
        found: Tensor = self.relu(main + self.skip_upsampled(self.skip(here)))
        return found


class _Convolution(nn.Sequential):
    """Zero-padded so that stride 1 keeps the size: of an even kernel below and to the right."""

    def __init__(
        self, given: int, out: int, size: int, *, stride: int = 1, relu: bool = False
    ) -> None:
        padding = (size - 1) // 2
        layers: dict[str, nn.Module] = {} if size % 2 else {"padded": nn.ZeroPad2d((0, 1, 0, 1))}
        layers["convolution"] = nn.Conv2d(given, out, size, stride, padding, bias=False)
        layers["norm"] = nn.BatchNorm2d(out)
        if relu:
            layers["relu"] = nn.ReLU()
        super().__init__(OrderedDict(layers))


def _twice() -> nn.Upsample:
    return nn.Upsample(scale_factor=2, mode="nearest")

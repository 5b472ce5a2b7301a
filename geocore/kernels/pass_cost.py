"""What one pass of a network costs: operations, and numbers that it makes on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["PassCost", "pass_cost"]


@dataclass(frozen=True)
class PassCost:
    """Of one sample: floating-point operations, numbers made, and how many come out."""

    operations: float
    numbers: int
    outputs: int


def pass_cost(network: nn.Module, x: Tensor) -> PassCost:
    """Run ``x (1, ...)`` through the network and count.

    Products of matrices and convolutions count what torch's counter knows of them, anything else
    one operation for each number that it makes. Views are counted as if they were copies.
    """
    made = _Made()
    with torch.no_grad(), FlopCounterMode(display=False) as counter, made:
        output = network(x)
    return PassCost(counter.get_total_flops() + made.numbers, made.numbers, output.numel())


class _Made(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numbers = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.numbers += sum(leaf.numel() for leaf in tree_leaves(out) if isinstance(leaf, Tensor))
        return out

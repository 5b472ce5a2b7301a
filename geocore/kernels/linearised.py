"""A network replaced by its tangent at a point of parameter space."""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch.func import jvp

from geocore.models.functional import Functional

__all__ = ["Linearised"]


class Linearised(nn.Module):
    """``f_lin(x) = f(x; theta_0) + J(x) (theta - theta_0)``, linear in its parameters ``theta``.

    ``theta_0`` are the network's parameters now, kept apart from it; ``theta`` starts there and
    trains like any module's, under the network's names with ``theta.`` in front. Its tangent kernel
    stays that of the network at ``theta_0``, whatever ``theta``. Any input and output that the
    network has; it must be one that ``torch.func`` sees through.

    Raises ``ValueError`` for a network without trainable parameters. Source: Lee et al.,
    arXiv:1902.06720.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not any(p.requires_grad for p in network.parameters()):
            found = type(network).__name__
            raise ValueError(f"network is {found} without trainable parameters; expected some")
        self.theta = copy.deepcopy(network)
        self.start = copy.deepcopy(network).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """What the network's forward takes and gives."""
        start = dict(self.start.named_parameters())
        moved = {n: p for n, p in self.theta.named_parameters() if p.requires_grad}
        origin = {name: start[name] for name in moved}
        away = {name: p - origin[name] for name, p in moved.items()}

        at = Functional(self.start)
        found = jvp(lambda parameters: at(parameters, x), (origin,), (away,))
        out: Tensor = found[0] + found[1]
        return out

"""Groups, small networks and trainings that the tests of orbit-closed ensembles share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.ensembles.orbit_closed import OrbitClosed
from geocore.groups.finite import PlanarGroup

__all__ = ["OPTIMISERS", "Cyclic", "OnPoints", "QuarterTurned", "cnn", "drawn", "mlp", "trained"]

Optimise = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def mlp(inputs: int, outputs: int, *between: nn.Module) -> Callable[[int], nn.Module]:
    """Of any inputs, flat; its weights are of torch's random state, which the ensemble seeds."""
    return lambda seed: nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, 16), nn.GELU(), *between, nn.Linear(16, outputs)
    ).double()


def cnn(outputs: int) -> Callable[[int], nn.Module]:
    """Of images ``(batch, 1, 8, 8)``; no layer of it knows of the group."""
    return lambda seed: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2), nn.GELU(), nn.Flatten(),
        nn.Linear(16, outputs),
    ).double()  # fmt: skip


class OnPoints:
    """A planar group on the last axis, points of the plane or lists of them."""

    def __init__(self, group: PlanarGroup) -> None:
        self.group, self.name = group, f"{group.name} on points"

    def __iter__(self) -> Iterator[int]:
        return iter(self.group)

    def act(self, element: int, x: Tensor) -> Tensor:
        return x @ self.group.matrix(element).to(x).T


class Cyclic:
    """The rotations of R^3 that carry each axis to the next, on ``(..., 3)``."""

    name = "cyclic permutations of the axes"

    def __iter__(self) -> Iterator[int]:
        return iter(range(3))

    def act(self, element: int, x: Tensor) -> Tensor:
        return x.roll(element, -1)


class QuarterTurned:
    """Quarter turns about z of R^3, ``(x, y, z) -> (-y, x, z)``: signs beside the permutation."""

    name = "quarter turns of R^3"

    def __iter__(self) -> Iterator[int]:
        return iter(range(4))

    def act(self, element: int, x: Tensor) -> Tensor:
        for _ in range(element):
            x = torch.stack([-x[..., 1], x[..., 0], x[..., 2]], dim=-1)
        return x


OPTIMISERS: dict[str, tuple[Optimise, str]] = {
    "adam": (lambda p: torch.optim.Adam(p, lr=0.02), "value"),
    "adamw": (lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.1), "norm"),
    "sgd": (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01), "norm"),
}
"""What steps, and what gradients are clipped by."""


def trained(
    ensemble: OrbitClosed,
    x: Tensor,
    y: Tensor,
    optimiser: str = "adam",
    steps: int = 20,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    checked: bool = True,
) -> Iterator[int]:
    """Train all members in place on whole-orbit batches of four; a step number after each."""
    make, clip = OPTIMISERS[optimiser]
    optimisers = [make(list(member.parameters())) for member in ensemble.members]
    if checked:
        batch = ensemble.batch(x[:4], y[:4])
        ensemble.check(optimiser=optimisers, clip=clip, loss=loss, batch=batch)  # type: ignore[arg-type]
    yield 0
    for step in range(steps):
        first = 4 * step % len(x)
        inputs, targets = ensemble.batch(x[first : first + 4], y[first : first + 4])
        for member, own in zip(ensemble.members, optimisers, strict=True):
            own.zero_grad()
            loss(member(inputs), targets).backward()
            parameters = list(member.parameters())
            if clip == "value":
                nn.utils.clip_grad_value_(parameters, 0.01)
            else:
                nn.utils.clip_grad_norm_(parameters, 0.5)
            own.step()
        yield step + 1

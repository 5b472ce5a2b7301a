"""Wide finite members with the NTK parametrisation, trained together by gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from geocore.kernels.composed import InfiniteNetwork
from geocore.kernels.twins import finite_twin

__all__ = ["trained_answers"]


def trained_answers(
    network: InfiniteNetwork,
    width: int,
    seeds: Sequence[int],
    x: Tensor,
    y: Tensor,
    asked: Tensor,
    steps: Sequence[int],
    lr: float,
    tell: Callable[[int], None] = lambda step: None,
) -> Tensor:
    """What each member answers after the steps: ``(steps, members, asked, outputs)`` float32.

    Full batches on ``(1 / 2n) sum_i |f(x_i) - y_i|^2``, of plain gradient descent: after ``k`` of
    them a network of infinite width has come to the time ``lr k`` of gradient flow on that loss,
    if steps are small. ``x (n, *shape)``, ``y (n, outputs)``, ``asked (m, *shape)``; the member of
    a seed has ``width`` channels a hidden layer and is the same in whatever company it is trained.
    """
    twins = [
        finite_twin(
            network,
            tuple(x.shape[1:]),
            width,
            outputs=y.shape[1],
            generator=torch.Generator().manual_seed(seed),
            dtype=torch.float32,
        )
        for seed in seeds
    ]
    weights, _ = stack_module_state(twins)
    names = list(weights)
    values = [weights[name].detach().requires_grad_() for name in names]
    one = twins[0]

    def outputs(inputs: Tensor) -> Tensor:
        def member(own: dict[str, Tensor]) -> Tensor:
            found: Tensor = functional_call(one, own, (inputs,))
            return found

        found: Tensor = vmap(member)(dict(zip(names, values, strict=True)))
        return found

    x, y, asked = x.float(), y.float(), asked.float()
    found: list[Tensor] = []
    for step in range(steps[-1] + 1):
        if step in steps:
            with torch.no_grad():
                found.append(outputs(asked))
        if step == steps[-1]:
            break
        # Members share nothing: the gradient of the sum is that of each.
        loss = 0.5 * (outputs(x) - y).square().sum(dim=2).mean(dim=1).sum()
        gradients = torch.autograd.grad(loss, values)
        with torch.no_grad():
            for value, gradient in zip(values, gradients, strict=True):
                value.sub_(gradient, alpha=lr)
        tell(step + 1)
    return torch.stack(found)

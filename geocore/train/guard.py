"""Who made a number that is not finite."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["culprit"]

_NAMED = 5


def culprit(model: nn.Module, images: Tensor, ids: Tensor, loss: Tensor) -> str:
    """What is to blame for a loss or a gradient that is not finite, in words.

    Asked in the order in which the numbers came about: samples with such values, parameters,
    the first layer whose output is not finite, the loss, and the first gradient.
    """
    bad = ~torch.isfinite(images).flatten(1).all(dim=1).cpu()
    if bad.any():
        return f"{_samples(ids[bad].tolist())} not finite; expected finite images"
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            return f"parameter {name} is not finite; expected a lower train.lr"
    layer = _first_layer(model, images)
    if layer is not None:
        return f"the output of layer {layer} is not finite; expected a lower train.lr"
    if not torch.isfinite(loss):
        return f"the loss is {float(loss)} on finite logits; expected a lower train.lr"
    # A backward pass goes from the last layer to the first: the last bad one is where it began.
    for name, parameter in reversed(list(model.named_parameters())):
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
            return f"the gradient of {name} is not finite; expected a lower train.lr"
    return "the norm of all gradients overflows; expected a lower train.lr"


def _samples(ids: list[int]) -> str:
    shown = ", ".join(map(str, ids[:_NAMED]))
    if len(ids) == 1:
        return f"sample {shown} is"
    return f"samples {shown}{f' and {len(ids) - _NAMED} more' if len(ids) > _NAMED else ''} are"


def _first_layer(model: nn.Module, images: Tensor) -> str | None:
    """The first layer without children, in the order they run, whose output is not finite."""
    found: list[str] = []

    def look(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, given: object, out: object) -> None:
            del module, given
            if not found and isinstance(out, Tensor) and not torch.isfinite(out).all():
                found.append(name)

        return hook

    handles = [
        module.register_forward_hook(look(name))
        for name, module in model.named_modules()
        if name and not list(module.children())
    ]
    try:
        with torch.no_grad():
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None

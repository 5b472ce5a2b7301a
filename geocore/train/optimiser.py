"""AdamW, with decay where it belongs."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["make_optimiser"]

_MATRICES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def make_optimiser(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW (arXiv:1711.05101); only the weights of linear maps and convolutions decay.

    Biases, norms, positions and tables of biases do not: zero is no natural place for them.
    """
    decaying = {id(m.weight) for m in model.modules() if isinstance(m, _MATRICES)}
    groups = [
        {
            "params": [p for p in model.parameters() if id(p) in decaying],
            "weight_decay": weight_decay,
        },
        {"params": [p for p in model.parameters() if id(p) not in decaying], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, fused=True)

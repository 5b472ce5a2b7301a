"""The device that ``runtime.device`` names."""

from __future__ import annotations

import torch

from geocore.errors import UserError

__all__ = ["resolve"]


def resolve(name: str) -> torch.device:
    """``"cpu"`` or ``"cuda"`` as a device; ``UserError`` for ``cuda`` where there is none."""
    if name not in ("cpu", "cuda"):
        raise ValueError(f"name is {name!r}; expected 'cpu' or 'cuda'")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            f"runtime.device is cuda; this machine has no CUDA device (torch {torch.__version__}); "
            "expected cpu"
        )
    return torch.device(name)

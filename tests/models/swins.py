"""Small Swin networks that several tests look at, in float64."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from geocore.config.model import SwinParams
from geocore.data.tabletype import TableType
from geocore.healpix.shifts import ShiftPlan
from geocore.models.heal_swin import HealSwin
from geocore.models.swin import Swin

__all__ = [
    "PAPER",
    "drawn",
    "heal_swin",
    "nested",
    "pictures",
    "plan",
    "planar",
    "swin",
    "swin_params",
]  # fmt: skip

Network = TypeVar("Network", bound=nn.Module)

PAPER: dict[str, Any] = {
    "name": "heal_swin", "embed": 96, "depths": (2, 2, 6, 2),
    "heads": (3, 6, 12, 24), "window": 64, "mlp_ratio": 4.0, "dropout": 0.1, "position": "none",
    "shift": "ring", "norm": "post", "attention": "cosine", "relative_bias": True,
    "dropout_kind": "element", "attention_dropout": 0.1, "drop_path": 0.1, "checkpointing": False,
}  # fmt: skip
_SMALL: dict[str, Any] = {
    "embed": 8, "depths": (2, 2), "heads": (2, 4), "window": 16, "mlp_ratio": 2.0,
    "shift": "grid", "dropout": 0.0, "attention_dropout": 0.0, "drop_path": 0.0,
}  # fmt: skip


def swin_params(**changes: Any) -> SwinParams:
    return SwinParams(**(PAPER | _SMALL | changes))


def nested(
    nside: int = 16, faces: tuple[int, ...] = tuple(range(8)), channels: int = 2
) -> TableType:
    return TableType(
        grid="healpix", nside=nside, ordering="nested", faces=faces, channels=channels,
        dtype="float32", label_kind="mask",
    )  # fmt: skip


def planar(height: int = 32, width: int = 32, channels: int = 2) -> TableType:
    return TableType(
        grid="planar", height=height, width=width, channels=channels, dtype="float32",
        label_kind="mask",
    )  # fmt: skip


def drawn(model: Network, seed: int = 1) -> Network:
    """In float64, with biases, tables and scales drawn large enough to matter."""
    generator = torch.Generator().manual_seed(seed)
    model = model.double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias" in name or "norm" in name:
                parameter.add_(
                    torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                )
            if "log_scale" in name:
                parameter.uniform_(0.0, 1.0, generator=generator)
    return model


def heal_swin(
    table: TableType, outputs: int = 3, *, dense: bool = True, **changes: Any
) -> HealSwin:
    return drawn(HealSwin(table, outputs, swin_params(**changes), seed=0, dense=dense))


def swin(table: TableType, outputs: int = 3, *, dense: bool = True, **changes: Any) -> Swin:
    params = swin_params(**({"name": "swin"} | changes))
    return drawn(Swin(table, outputs, params, seed=0, dense=dense))


def pictures(table: TableType, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.rand(batch, *table.shape, generator=generator, dtype=torch.float64)


def plan(tokens: int = 32, window: int = 4) -> ShiftPlan:
    """A made-up one: tokens rolled by half a window; the last run and the third are masked."""
    permutation = (torch.arange(tokens) + window // 2) % tokens
    labels = torch.zeros(2, window, dtype=torch.uint8)
    labels[0, 1] = 1
    labels[1, window // 2 :] = 7
    return ShiftPlan(
        permutation, permutation.argsort(), torch.tensor([2, tokens // window - 1]), labels
    )

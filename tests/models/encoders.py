"""Small networks that several tests look at."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from geocore.config.model import HealpixEncoderParams
from geocore.data.tabletype import TableType
from geocore.models.healpix_encoder import HealpixEncoder

__all__ = ["encoder", "kind", "maps", "model_params"]


def model_params(**changes: Any) -> HealpixEncoderParams:
    defaults: dict[str, Any] = {
        "name": "healpix_encoder", "block": "attention", "embed": 8, "depths": (1, 1, 1),
        "heads": (1, 2, 4), "window": 4, "mlp_ratio": 2.0, "dropout": 0.0, "position": "orbit",
    }  # fmt: skip
    return HealpixEncoderParams(**(defaults | changes))


def kind(nside: int = 8, faces: tuple[int, ...] = tuple(range(12)), channels: int = 1) -> TableType:
    return TableType(
        grid="healpix",
        nside=nside,
        ordering="nested",
        faces=faces,
        channels=channels,
        dtype="float32",
        label_kind="class",
    )


def encoder(table: TableType, classes: int = 5, seed: int = 0, **changes: Any) -> HealpixEncoder:
    """In float64, with every table drawn large enough to matter."""
    model = HealpixEncoder(table, classes, model_params(**changes), seed=seed).double()
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias" in name or "table" in name:
                parameter.normal_(generator=generator)
    return model


def maps(table: TableType, batch: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.rand(batch, *table.shape, generator=generator, dtype=torch.float64)

"""``model.name: s2cnn``: the S2CNNs of this package, built from parameters for a table."""

from __future__ import annotations

import dataclasses

from torch import Tensor, nn

from geocore.config.model import S2cnnParams
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.models.grid_input import grid_of
from geocore.models.s2cnn.layout import Layout
from geocore.models.s2cnn.networks import S2CNNClassifier, S2CNNSegmenter

__all__ = ["S2CNN"]


class S2CNN(nn.Module):
    """``f(R x) = R f(x)`` for all rotations R with ``dense``, else ``f(R x) = f(x)``.

    As exactly as ``S2CNNSegmenter`` and ``S2CNNClassifier`` keep it. Samples on the Driscoll-Healy
    grid, ``(batch, 2b, 2b, channels)``, to ``(batch, 2b, 2b, outputs)`` or ``(batch, outputs)``;
    ``kind`` fixes bandlimit and channels. Raises ``UserError`` for a table on another grid, and for
    parameters that do not fit.
    """

    def __init__(
        self,
        kind: TableType,
        outputs: int,
        params: S2cnnParams,
        *,
        seed: int = 0,
        dense: bool = False,
    ) -> None:
        super().__init__()
        bandlimit, channels = grid_of(kind, params.name)
        names = [field.name for field in dataclasses.fields(Layout) if field.name != "bandlimit"]
        try:
            layout = Layout(bandlimit, **{name: getattr(params, name) for name in names})
        except ValueError as error:  # what its fields say of each other
            raise UserError(f"model.name is s2cnn: {error}") from None
        if dense and params.hidden:
            raise UserError(
                f"model.hidden is {list(params.hidden)}; expected [] where each point of the grid "
                "has an answer"
            )
        self.body: nn.Module
        if dense:
            self.body = S2CNNSegmenter(layout, channels, outputs, seed)
        else:
            self.body = S2CNNClassifier(layout, channels, outputs, params.hidden, seed)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out

    def trace(self, x: Tensor) -> dict[str, Tensor]:
        """The output alone, as ``logits``: what lies between are no samples of a grid."""
        return {"logits": self(x)}

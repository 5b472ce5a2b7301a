"""A block of a Swin network: window attention and an MLP, each on a residual branch."""

from __future__ import annotations

from torch import Tensor, nn

from geocore.config.model import SwinParams
from geocore.models.blocks import ChannelDropout
from geocore.models.dropout import DropPath, ElementDropout
from geocore.models.mlp import Mlp
from geocore.models.tiling import Windows, offset_pairs
from geocore.models.window_attention import WindowAttention

__all__ = ["SwinBlock", "make_dropout"]


class SwinBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): ``(batch, tokens, channels)``, to the same.

    With ``params.norm`` ``post`` the norms come after the branches: x + norm(attention(x)), then
    x + norm(mlp(x)) (Swin V2, arXiv:2111.09883, fig. 1). Attention is within ``windows``. Dropout
    acts on the attention weights, on the hidden channels of the MLP and on what each branch gives;
    ``drop_path`` is how often a sample skips a branch.
    """

    def __init__(
        self, channels: int, heads: int, windows: Windows, params: SwinParams, drop_path: float
    ) -> None:
        super().__init__()
        self.post = params.norm == "post"
        self.windows = windows
        self.attention = WindowAttention(
            channels,
            heads,
            windows.window,
            *offset_pairs(windows.window, params.window),
            bias=params.relative_bias,
            cosine=params.attention == "cosine",
            dropout=params.attention_dropout,
            dropout_kind=params.dropout_kind,
        )
        hidden = max(1, round(params.mlp_ratio * channels))
        self.mlp = Mlp(channels, hidden, make_dropout(params))
        self.attention_norm = nn.LayerNorm(channels)
        self.mlp_norm = nn.LayerNorm(channels)
        self.dropout = make_dropout(params)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        if self.post:
            x = self.drop_path(x, self.attention_norm(self.dropout(self.attend(x))))
            x = self.drop_path(x, self.mlp_norm(self.dropout(self.mlp(x))))
        else:
            x = self.drop_path(x, self.dropout(self.attend(self.attention_norm(x))))
            x = self.drop_path(x, self.dropout(self.mlp(self.mlp_norm(x))))
        return x

    def attend(self, x: Tensor) -> Tensor:
        """Attention in the windows, from tokens to tokens."""
        slots = self.attention(self.windows.to_slots(x), self.windows.labels)
        return self.windows.to_tokens(slots)


def make_dropout(params: SwinParams) -> nn.Module:
    """Of single numbers or of whole channels, as the parameters say."""
    if params.dropout_kind == "channel":
        return ChannelDropout(params.dropout)
    return ElementDropout(params.dropout)

"""How the tokens of one resolution fall into windows: all that a Swin network knows of geometry."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geocore.healpix.shifts import ShiftPlan
from geocore.models.pairs import window_pairs
from geocore.models.permute import permute

__all__ = ["Tiling", "Windows", "offset_pairs"]


@dataclass(frozen=True)
class Tiling:
    """The tokens of one stage of a network.

    ``tokens`` of them, in windows that are contiguous runs of ``window``, which divides
    ``tokens``. ``shifted`` moves the windows of every other block; None where there is no shift.
    ``plain`` does the same for the other blocks: it is None unless some tokens of a run may not
    attend to each other. ``inside`` lists the tokens that count in a mean, ``(n,)`` int64; None
    stands for all.
    """

    tokens: int
    window: int
    shifted: ShiftPlan | None = None
    plain: ShiftPlan | None = None
    inside: Tensor | None = None


def offset_pairs(count: int, largest: int) -> tuple[Tensor, int]:
    """The entry of each pair of a window's tokens in the table of a window of ``largest`` tokens.

    A pair's entry depends on the offset of its tokens alone (``window_pairs``), so a window of
    ``count`` tokens reads the middle of the table. Hence a network has the same parameters
    whatever its resolution, and those of one resolution serve another. Returns ``(count, count)``
    int64 and the size of the table, ``(2 sqrt(largest) - 1)**2``.
    """
    pairs, entries = window_pairs(largest)
    # A nested window begins with the smaller one of the same corner.
    return pairs[:count, :count].contiguous(), entries


class Windows(nn.Module):
    """Tokens to slots and back, ``(batch, tokens, c)``; a window is a contiguous run of slots.

    Slots of the last ``len(labels)`` windows may attend to each other iff their labels agree;
    within the other windows all may. ``labels`` is ``(m, window)``, None where m = 0.

    With no plan the tokens stay where they are. Of a plan the windows are taken in another order,
    those that need labels last: attention does not care, and gets them as one slice.
    """

    order: Tensor | None
    inverse: Tensor | None
    labels: Tensor | None

    def __init__(self, tokens: int, window: int, plan: ShiftPlan | None = None) -> None:
        super().__init__()
        if window < 1 or tokens % window:
            raise ValueError(f"tokens is {tokens}; expected a multiple of window, {window}")
        self.tokens, self.window = tokens, window
        order = inverse = labels = None
        if plan is not None:
            if plan.permutation.shape != (tokens,) or plan.labels.shape[1:] != (window,):
                found = f"{len(plan.permutation)} tokens in windows of {plan.labels.shape[-1]}"
                raise ValueError(f"plan has {found}; expected {tokens} in windows of {window}")
            needs = torch.zeros(tokens // window, dtype=torch.bool)
            needs[plan.masked] = True
            last = needs.int().argsort(stable=True)  # their order among each other stays
            order = plan.permutation.reshape(-1, window)[last].reshape(-1)
            if len(plan.masked):
                labels = plan.labels.clone()
            if torch.equal(order, torch.arange(tokens)):
                order = None
            else:
                inverse = order.argsort()
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("inverse", inverse, persistent=False)
        self.register_buffer("labels", labels, persistent=False)

    @property
    def masked(self) -> int:
        """How many windows need labels."""
        return 0 if self.labels is None else len(self.labels)

    def to_slots(self, x: Tensor) -> Tensor:
        """``slots[:, i] = x[:, order[i]]``."""
        if self.order is None or self.inverse is None:
            return x
        return permute(x, self.order, self.inverse)

    def to_tokens(self, slots: Tensor) -> Tensor:
        """The inverse of ``to_slots``."""
        if self.order is None or self.inverse is None:
            return slots
        return permute(slots, self.inverse, self.order)

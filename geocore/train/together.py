"""A training by several processes, each with its share of every batch: the training of one.

The batch of a step is what it is for one process; of its ``n`` samples process ``r`` of ``R`` reads
and computes those from ``r n // R`` to ``(r + 1) n // R``. With ``w_r`` what counts in a share
(samples, or labelled pixels by the weight of their class) the loss of the batch is ``sum_r w_r L_r
/ sum_r w_r``, so that the gradients of ``w_r L_r / sum w``, summed over processes, are the gradient
of the whole, whatever the shares. From there on all processes have the same numbers: the norm that
is clipped, the step, the scores of the validation split, whose outputs are gathered batch by batch,
and the choice of the best weights. Only dropout must be told (``geocore.train.noise``).

The loop itself (``geocore.train.loop``) is that of one process and knows nothing of others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from geocore.config.train import TrainParams
from geocore.errors import UserError
from geocore.train.feed import Feed
from geocore.train.loop import train
from geocore.train.noise import Noise
from geocore.train.objective import Learned, Objective, Score
from geocore.train.processes import Group
from geocore.train.state import TrainState

__all__ = ["train_together"]


def train_together(
    state: TrainState,
    training: Feed,
    validation: Feed,
    params: TrainParams,
    *,
    group: Group,
    objective: Objective,
    **callbacks: Any,
) -> None:
    """``geocore.train.loop.train`` by all processes of ``group``; the arguments are its own.

    Every process calls this with equal feeds, ``params`` and ``objective``; the training goes on
    from the state of process 0. Callbacks are for process 0: the state is the same everywhere.
    Ends as the training of one process does, up to the rounding of sums that are added in another
    order. Raises ``UserError`` for a network with batch norm, whose statistics would be those of a
    share, and where a process is lost; for a loss that is not finite in process 0 alone: it tells.
    """
    for name, module in state.model.named_modules():
        if isinstance(module, _BatchNorm):
            raise UserError(
                f"layer {name} is a batch norm, whose statistics are those of the batch in one "
                f"process; found {group.size} processes, expected one"
            )
    _adopt(state, group)
    share = _Share(group, state.model)
    images, _ = training(torch.zeros(1, dtype=torch.int64))
    try:
        with share.noise.learned(images), share:
            train(
                state,
                _SharedFeed(training, share),
                _SharedFeed(validation, share),
                params,
                objective=_SharedObjective(objective, share),
                **callbacks,
            )
    except UserError as error:
        if error.__cause__ is not None:
            raise  # a process is lost: nobody listens
        # All are here, as the number that is not finite is everybody's. Who has it, can name it.
        lines = group.texts(str(error))
        if group.rank == 0:
            raise UserError(next((line for line in lines if _names(line)), lines[0])) from None


def _names(line: str) -> bool:
    return ": the loss is " not in line


def _adopt(state: TrainState, group: Group) -> None:
    """The state of process 0, to the last bit."""
    first = group.rank == 0
    numbers = group.first(json.dumps(state.numbers()).encode() if first else b"")
    tensors = group.first(save(state.tensors()) if first else b"")
    if not first:
        state.restore(load(tensors), json.loads(numbers))


class _Share(TorchFunctionMode):
    """Where the share lies in the batch at hand; its backward pass ends with everybody's gradient.

    As a mode it sees each function of torch before that is called.
    """

    def __init__(self, group: Group, model: nn.Module) -> None:
        super().__init__()
        self.group, self.noise = group, Noise(model, self)
        self.counts = [0] * group.size

    @property
    def rows(self) -> int:
        """Samples of this process in the batch: 0 where it has none and computes a stand-in."""
        return self.counts[self.group.rank]

    def own(self, positions: Tensor) -> Tensor:
        """Those of a batch that are this process's, one that does not count where none are."""
        start, stop = self._bounds(len(positions))
        return positions[start:stop]

    def enter(self, positions: Tensor) -> Tensor:
        """``own``, of the batch that the next computations are about."""
        count, size = len(positions), self.group.size
        self.counts = [(r + 1) * count // size - r * count // size for r in range(size)]
        self.noise.start, self.noise.stop = self._bounds(count)
        self.noise.whole = count
        return self.own(positions)

    def _bounds(self, count: int) -> tuple[int, int]:
        rank, size = self.group.rank, self.group.size
        start, stop = rank * count // size, (rank + 1) * count // size
        return (start, stop) if start < stop else (0, 1)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        if func is Tensor.backward:
            self.noise.backward = True
            try:
                func(*args, **(kwargs or {}))
            finally:
                self.noise.backward = False
            self._sum_gradients()
            return None
        return (self.noise.instead(func) or func)(*args, **(kwargs or {}))

    def _sum_gradients(self) -> None:
        gradients = [p.grad for p in self.noise.model.parameters() if p.grad is not None]
        flat = self.group.sum(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


class _SharedFeed(Feed):
    """Of the batch that is asked for, the share."""

    def __init__(self, feed: Feed, share: _Share) -> None:
        self._feed, self._share = feed, share
        self.ids = cast(Tensor, _SharedNames(feed.ids, share))
        self.device, self.name = feed.device, feed.name

    def __len__(self) -> int:
        return len(self._feed)

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        return self._feed(self._share.enter(positions))


class _SharedNames:
    """Names of samples for errors: of the batch at the positions, those of the share."""

    def __init__(self, ids: Tensor, share: _Share) -> None:
        self._ids, self._share = ids, share

    def __getitem__(self, positions: Tensor) -> Tensor:
        return self._ids[self._share.own(positions)]


class _SharedObjective(Objective):
    """What the batch gives, from what the shares give."""

    def __init__(self, objective: Objective, share: _Share) -> None:
        self._objective, self._share = objective, share
        self.task, self.names = objective.task, objective.names  # type: ignore[misc]

    @property
    def outputs(self) -> int:
        return self._objective.outputs

    def loss(self, output: Tensor, target: Tensor) -> Learned:
        """Values of the batch; the gradient is the share's part of the batch's."""
        own = self._objective.loss(output, target)
        weight = own.weight.double() if self._share.rows else own.weight.double() * 0
        values = torch.stack([own.loss.detach().double(), own.mean.detach().double()])
        loss, mean, whole = self._share.group.sum(torch.cat([values * weight, weight[None]]))
        divisor = whole.clamp_min(torch.finfo(whole.dtype).tiny)  # nothing counts: it is zero
        part = own.loss * (weight / divisor).to(own.loss.dtype)
        return Learned(part + (loss / divisor - part.detach()), mean / divisor, whole)

    def score(self) -> Score:
        return _SharedScore(self._objective.score(), self._share)

    def criterion(self, row: Mapping[str, float]) -> float:
        return self._objective.criterion(row)

    def require(self, feed: Feed, where: str) -> None:
        self._objective.require(feed, where)


class _SharedScore(Score):
    """A score of whole batches: each process adds the outputs of all."""

    def __init__(self, score: Score, share: _Share) -> None:
        self._score, self._share = score, share

    def add(self, output: Tensor, target: Tensor) -> None:
        group, counts = self._share.group, self._share.counts
        self._score.add(group.rows(output, counts), group.rows(target, counts))

    def values(self) -> dict[str, float]:
        return self._score.values()

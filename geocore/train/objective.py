"""What a network learns: its outputs, its loss, what is scored on validation, when it is best."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from torch import Tensor

from geocore.config.train import TrainParams
from geocore.errors import UserError
from geocore.train.feed import Feed

__all__ = ["Learned", "Objective", "Score", "Task", "objective", "recorded"]

Task = Literal["classification", "segmentation", "depth"]


class Learned(NamedTuple):
    """A batch's part in the training, three scalars.

    ``loss`` is what is descended; ``mean`` what the curve shows, a mean over what counts in the
    batch, and ``weight`` how much it counts in the epoch's mean: the number of samples, or of
    pixels that have a target, each by the weight of its class.
    """

    loss: Tensor
    mean: Tensor
    weight: Tensor


class Score(ABC):
    """What is scored on a split: ``add`` its batches, then read ``values()``.

    The batches may be cut in any way: sums are kept, and means taken at the end.
    """

    @abstractmethod
    def add(self, output: Tensor, target: Tensor) -> None:
        """Take in what the network says of a batch, and what is true."""

    @abstractmethod
    def values(self) -> dict[str, float]:
        """The scores by name, a number each over all that was added."""


class Objective(ABC):
    """A task with its loss.

    ``output`` is ``(batch, outputs)``; of a ``dense`` one ``(batch, npix, outputs)`` or ``(batch,
    height, width, outputs)``, and ``target`` has that shape without the last axis. A pixel that
    does not count is marked in the target (``geocore.train.feed``), so that whatever stands there
    enters neither the loss nor a score. ``names`` are the curve's columns: the mean over the
    training epoch, then the scores of the validation split.
    """

    task: ClassVar[Task]
    names: ClassVar[tuple[str, ...]]

    @property
    def dense(self) -> bool:
        """Whether each pixel has a target of its own."""
        return self.task != "classification"

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the curve, a row an epoch."""
        return ("epoch", "step", "lr", *self.names, "gradient_norm")

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Numbers that the network gives, a sample or a pixel."""

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Learned:
        """The loss of a batch; zero, with gradient zero, where nothing in it counts."""

    @abstractmethod
    def score(self) -> Score:
        """A new score, without samples."""

    @abstractmethod
    def criterion(self, row: Mapping[str, float]) -> float:
        """Of a row of the curve: the lower, the better the weights."""

    @abstractmethod
    def require(self, feed: Feed, where: str) -> None:
        """``UserError`` naming the first sample with a target that cannot be, or a split of none.

        ``where`` is what errors call the table.
        """

    def record(self) -> dict[str, Any]:
        """What ``model.json`` keeps, so that ``recorded`` can say what the outputs mean."""
        return {}


def objective(params: TrainParams, classes: Sequence[str], training: Feed, where: str) -> Objective:
    """What ``params`` ask for, of a table with those ``classes``, which errors call ``where``.

    Class weights and the standardisation of depths come from the targets of ``training``, all of
    them, so that they follow from the data alone. Raises ``UserError`` for targets that cannot be,
    as ``Objective.require`` does, and for a table that names no classes where they are learned.
    """
    # Here, as each of them is an Objective.
    from geocore.train.classification import Classification
    from geocore.train.depth import Depth
    from geocore.train.segmentation import Segmentation

    if params.task == "depth":
        return Depth.of(params, training, where)
    if not classes:
        raise UserError(f"{where}: names no classes; expected a name for each label")
    if params.task == "segmentation":
        return Segmentation.of(params, len(classes), training, where)
    return Classification.of(params, len(classes), training, where)


def recorded(task: str, record: Mapping[str, Any], classes: Sequence[str]) -> Objective:
    """The objective of a trained network, from what ``model.json`` keeps of it.

    ``task``, ``record`` and ``classes`` are those of its ``ModelInfo``. Raises ``UserError`` for a
    record that is not what ``Objective.record`` gives.
    """
    from geocore.train.classification import Classification
    from geocore.train.depth import Depth
    from geocore.train.segmentation import Segmentation

    try:
        if task == "classification":
            return Classification(len(classes))
        if task == "segmentation":
            weights = record["class_weights"]
            return Segmentation(len(classes), None if weights is None else tuple(weights))
        return Depth(record["loss"], record["scale"], record["mean"], record["std"])
    except (KeyError, TypeError, ValueError):
        found = json.dumps(record)[:80]
        raise UserError(f"model.json: objective is {found}; expected what train wrote") from None

"""A classifier's measurement in pieces of work that do not need each other, put together again.

A piece is one batch: of a split, of the test images that one sampled rotation turns, or of the
images whose layers are traced under every rotation. Batches follow from ``evaluate.batch_size``,
and nothing is summed before all pieces are there: who made which decides no byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from geocore.config.evaluate import EvaluateParams
from geocore.config.runtime import RuntimeParams
from geocore.data.table import Table
from geocore.models.registry import load
from geocore.pipeline.deterministic_pieces import deterministic_together
from geocore.pipeline.measuring import evenly, rotations
from geocore.pipeline.predictions import Predictions, predict
from geocore.pipeline.stage import Job
from geocore.pipeline.symmetry_errors import Rotation, SymmetryErrors, symmetry_errors
from geocore.pipeline.types import Source
from geocore.so3.sampling import uniform
from geocore.train.device import resolve
from geocore.train.feed import Feed, table_feed

__all__ = ["Measurement", "Piece", "opened"]

_CHOICE = 103  # the stream of the seed that says which rotation a test sample is turned by
_TRACES = "traces"
_TRACED = 32  # at most so many images a piece of which all layers are traced

Piece = tuple[str, str, int, int, int]  # what, of which split, which rotation, from, to


@dataclass(frozen=True)
class Measurement:
    """All that is measured of ``model`` on ``feeds`` by split.

    ``turns`` are the sampled rotations by group, ``every`` these and the quarter turns before them;
    ``reason`` says why there are none of the latter.
    """

    model: nn.Module
    feeds: dict[str, Feed]
    turns: dict[str, list[Rotation]]
    every: list[Rotation]
    reason: str | None
    params: EvaluateParams
    device: torch.device

    @classmethod
    def of(cls, table: Table, model: nn.Module, params: EvaluateParams, device: str) -> Measurement:
        """Of the splits ``val`` and ``test``; ``UserError`` for one that is empty."""
        place = resolve(device)
        feeds = {split: table_feed(table, split, place) for split in ("val", "test")}
        exact, sampled, reason = rotations(table.info.type, params)
        every = [*exact, *sampled["z"], *sampled["so3"]]
        return cls(model.to(place), feeds, dict(sampled), every, reason, params, place)

    def pieces(self) -> list[Piece]:
        """All pieces, the longest first."""
        size = self.params.batch_size
        told = [(_TRACES, "test", 0, min(size, _TRACED))]
        told += [("plain", split, 0, size) for split in self.feeds]
        told += [
            (group, "test", number, size)
            for group, turns in self.turns.items()
            for number in range(len(turns))
        ]
        return [
            (what, split, number, start, min(start + step, count))
            for what, split, number, step in told
            if (count := len(self._positions(what, split, number)))
            for start in range(0, count, step)
        ]

    def passes(self, piece: Piece) -> int:
        """How many images go through the network for it."""
        what, _, _, start, stop = piece
        return (stop - start) * (1 + len(self.every) if what == _TRACES else 1)

    def __call__(self, *piece: Any) -> dict[str, npt.NDArray[np.float64]]:
        """``logits (n, classes)`` of the piece's images, or ``errors`` and ``floors (rotations,
        layers, n)`` beside the names of the ``layers``; ``UserError`` for logits not finite.
        """
        what, split, number, start, stop = piece
        feed, size = self.feeds[split], self.params.batch_size
        positions = self._positions(what, split, number)[start:stop]
        with deterministic_together(self.params.seed, self.device):
            if what == _TRACES:
                found = symmetry_errors(self.model, feed, positions, self.every, size)
                return {
                    "errors": found.errors.numpy(),
                    "floors": found.floors.numpy(),
                    "layers": np.array(found.layers),
                }
            changes = [] if what == "plain" else [self.turns[what][number].act]
            answer = predict(self.model, _part(feed, positions), size, changes=changes)
            return {"logits": answer.logits.numpy()}

    def predictions(
        self, what: str, split: str, pieces: Sequence[Piece], found: Sequence[dict[str, Any]]
    ) -> Predictions:
        """Of the whole split, ``plain`` or each image turned by its rotation of a group."""
        feed = self.feeds[split]
        mine = [
            (piece, answer["logits"])
            for piece, answer in zip(pieces, found, strict=True)
            if piece[:2] == (what, split)
        ]
        logits = torch.empty(len(feed), mine[0][1].shape[1], dtype=torch.float64)
        for (_, _, number, start, stop), values in mine:
            at = self._positions(what, split, number)[start:stop]
            logits[at] = torch.from_numpy(np.array(values))
        return Predictions(feed.ids.cpu(), feed.labels.cpu(), logits)

    def errors(self, pieces: Sequence[Piece], found: Sequence[dict[str, Any]]) -> SymmetryErrors:
        """The equivariance errors of all traced images."""
        mine = [answer for piece, answer in zip(pieces, found, strict=True) if piece[0] == _TRACES]
        errors, floors = (
            torch.from_numpy(np.concatenate([answer[name] for answer in mine], axis=-1))
            for name in ("errors", "floors")
        )
        ids = self.feeds["test"].ids[self._positions(_TRACES, "test", 0)].cpu()
        return SymmetryErrors(self.every, mine[0]["layers"].tolist(), ids, errors, floors)

    @cached_property
    def _turned_by(self) -> Tensor:
        """Which of the rotations turns each test sample; it follows from the sample alone."""
        ids = self.feeds["test"].ids.numpy()
        drawn = torch.from_numpy(uniform(self.params.seed, ids, _CHOICE)[:, 0])
        return (drawn * self.params.rotations).floor().long()

    def _positions(self, what: str, split: str, number: int) -> Tensor:
        feed = self.feeds[split]
        if what == "plain":
            return torch.arange(len(feed))
        if what == _TRACES:
            return evenly(len(feed), self.params.samples)
        return (self._turned_by == number).nonzero()[:, 0]


def opened(job: Job, name: Source) -> Measurement:
    """The measurement of a job whose inputs were verified before; ``name`` is the table's."""
    table = Table.open(job.input(name))
    model, _ = load(job.input("weights"), job.input("model"), table.info.type)
    device = job.section(RuntimeParams).device
    return Measurement.of(table, model, job.section(EvaluateParams), device)


def _part(feed: Feed, positions: Tensor) -> Feed:
    """The samples at these positions alone."""
    targets = feed.targets(positions)
    return Feed(lambda at: feed(positions[at])[0], targets, feed.ids[positions], feed.device)

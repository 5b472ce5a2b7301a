"""What stage ``ensemble`` says of pixels: a row a sample, and scores; no pixel is written."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file
from torch import nn

from geocore.config.runtime import RuntimeParams
from geocore.config.train import TrainParams
from geocore.ensembles.chunk import weights_name
from geocore.ensembles.pixels import DepthEnsemble, PixelEnsemble, SegmentationEnsemble
from geocore.pipeline.learning import network_code
from geocore.pipeline.piece import make_part
from geocore.pipeline.stage import Job
from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_json
from geocore.runs.store import Piece
from geocore.train.depth import Depth
from geocore.train.feed import Feed
from geocore.train.objective import Objective
from geocore.train.randomness import deterministic

__all__ = ["PREDICTIONS", "predict_pixels", "read_scores"]

Scores = dict[str, float]
PREDICTIONS = ("predictions.parquet", "members.parquet")


def predict_pixels(
    job: Job,
    model: nn.Module,
    trained: Sequence[Piece],
    feeds: Mapping[str, Feed],
    learned: Objective,
) -> Piece:
    """The two tables of ``PREDICTIONS``, and ``scores.json`` with the scores of each split.

    ``predictions.parquet`` has a row a sample: ``sample``, ``split``, and what the ensemble's
    class in ``geocore.ensembles.pixels`` gives of it; ``members.parquet`` a row a sample and
    member. A number is null where no pixel of the sample counts. One part over all members, as
    their outputs of all pixels are too large to be kept.
    """
    batch_size = job.section(TrainParams).batch_size  # as in the validation of the training

    def fill(folder: Path) -> None:
        models = [
            _with_weights(model, part.file(weights_name(place)))
            for part in trained
            for place in range(len(part.values["training"]))
        ]
        scores, rows, own = {}, [], []
        with deterministic(0, next(iter(feeds.values())).device):
            for split, feed in feeds.items():
                ensemble = _ensemble(learned, len(models))
                for sample, whole, members in _samples(models, feed, ensemble, batch_size):
                    about = {"sample": sample, "split": split}
                    rows.append({**about, **_finite(whole)})
                    own += [{**about, "member": n, **_finite(m)} for n, m in enumerate(members)]
                scores[split] = ensemble.values()
        for name, table in zip(PREDICTIONS, (rows, own), strict=True):
            pq.write_table(pa.Table.from_pylist(table), folder / name)
        write_json(folder / "scores.json", scores)

    return make_part(
        job,
        "ensemble-pixels",
        fill,
        parameters={"batch_size": batch_size, "objective": learned.record()},
        inputs={**job.inputs, "members": digest_json([part.manifest["files"] for part in trained])},
        code=[__name__, network_code(job.sections)],
        device=job.section(RuntimeParams).device,
    )


def read_scores(predicted: Piece) -> dict[str, dict[str, Any]]:
    """The scores of each split."""
    found: dict[str, dict[str, Any]] = json.loads(predicted.file("scores.json").read_text("utf-8"))
    return found


def _ensemble(learned: Objective, members: int) -> PixelEnsemble:
    if isinstance(learned, Depth):
        return DepthEnsemble(members, learned.metres)
    return SegmentationEnsemble(members, learned.outputs)


def _with_weights(model: nn.Module, weights: Path) -> nn.Module:
    own = copy.deepcopy(model)
    own.load_state_dict(load_file(weights))
    return own.eval()


def _samples(
    models: Sequence[nn.Module], feed: Feed, ensemble: PixelEnsemble, batch_size: int
) -> Iterator[tuple[int, Scores, list[Scores]]]:
    with torch.inference_mode():
        for positions in torch.arange(len(feed)).split(batch_size):
            images, target = feed(positions)
            outputs = torch.stack([model(images) for model in models])
            for place, position in enumerate(positions.tolist()):
                whole, members = ensemble.add(outputs[:, place], target[place])
                yield int(feed.ids[position]), whole, members


def _finite(scores: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}

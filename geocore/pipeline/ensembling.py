"""The body of ``ensemble``: chunks of members, what they predict, and their mixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from geocore.config.ensemble import EnsembleParams
from geocore.config.model import ModelParams
from geocore.config.runtime import RuntimeParams
from geocore.config.train import TrainParams
from geocore.data.table import Table
from geocore.data.tabletype import TableType
from geocore.ensembles.chunk import train_chunk, weights_name
from geocore.ensembles.mixture import Mixture
from geocore.ensembles.seeds import in_chunks, member_seeds
from geocore.errors import UserError
from geocore.models.registry import ModelInfo, build
from geocore.pipeline.ensemble_results import MixedSplit, write_results
from geocore.pipeline.piece import make_part
from geocore.pipeline.predictions import predict
from geocore.pipeline.progress import Bar
from geocore.pipeline.stage import Job, Manifest
from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_json
from geocore.runs.store import Piece
from geocore.train.device import resolve
from geocore.train.feed import Feed, normaliser, table_feed
from geocore.train.loop import steps_per_epoch
from geocore.train.randomness import deterministic
from geocore.train.state import TrainState

__all__ = ["ensemble"]

_MEASURED = ("val", "test")


def ensemble(job: Job, folder: Path, wanted: TableType) -> Manifest:
    """Train the members, chunk by chunk, and write everything that the stage gives into ``folder``.

    ``wanted`` is the type that the stage requires of its table. A chunk is two parts: its weights
    and curves, and its logits. Returns the headline, the files' digests and the parts' keys.
    Raises ``UserError`` for an input that is not finite, a label that is no class, and a training
    that stops.
    """
    params, device = job.section(EnsembleParams), resolve(job.section(RuntimeParams).device)
    table = Table.open(job.input("healpix"), wanted, verify=True)
    table.require_finite()
    where, kind, classes = job.stage.takes["healpix"].path, table.info.type, table.info.classes
    if not classes:
        raise UserError(f"{where}: names no classes; expected a name for each label")
    feeds = {split: table_feed(table, split, device) for split in ("train", *_MEASURED)}
    for feed in feeds.values():
        feed.require_classes(len(classes), where)

    seeds = member_seeds(params.seed, params.members)
    network = build(job.section(ModelParams), kind, len(classes), seeds[0]).to(device).eval()
    train_params = job.section(TrainParams)
    steps = train_params.epochs * steps_per_epoch(len(feeds["train"]), train_params)
    trained, predicted = [], []
    with job.progress.bar("ensemble", params.members * steps) as bar:
        for start, chunk in enumerate(in_chunks(seeds, params.chunk)):
            told = _Told(bar, params.members, start * params.chunk, steps)
            trained.append(_train(job, chunk, kind, len(classes), feeds, told))
            predicted.append(_predict(job, network, trained[-1], len(chunk), feeds))
            told.members_done(len(chunk))
    job.note(device=str(device))
    info = ModelInfo(
        params=job.section(ModelParams),
        type=kind,
        classes=classes,
        parameters=sum(p.numel() for p in network.parameters()),
        normaliser=normaliser(kind),
    )
    splits = {
        split: MixedSplit(feeds[split].ids.cpu(), feeds[split].labels.cpu(), Mixture(logits))
        for split, logits in _joined(predicted).items()
    }
    write_json(folder / "model.json", info.to_json())
    return {
        **write_results(folder, trained, splits),
        "parts": [part.key for part in (*trained, *predicted)],
    }


@dataclass(frozen=True)
class _Told:
    """Where the bar stands: a chunk that begins with member ``first`` of ``members``."""

    bar: Bar
    members: int
    first: int
    steps: int  # of a member that is not stopped early

    def step(self, place: int, state: TrainState) -> None:
        words = f"member {self.first + place + 1} of {self.members}"
        if state.curve:
            words += f", validation NLL {state.curve[-1]['val_nll']:.4f}"
        if state.step == 1:  # the one before may have stopped early
            self.bar.start_at((self.first + place) * self.steps)
        self.bar.advance(note=words)

    def members_done(self, count: int) -> None:
        self.bar.start_at((self.first + count) * self.steps)


def _train(
    job: Job,
    seeds: Sequence[int],
    kind: TableType,
    classes: int,
    feeds: Mapping[str, Feed],
    told: _Told,
) -> Piece:
    """The weights and curves of the members with those seeds, whatever ensemble they are in."""

    def fill(folder: Path) -> dict[str, Any]:
        return train_chunk(
            folder,
            seeds,
            job.section(ModelParams),
            kind,
            classes,
            feeds["train"],
            feeds["val"],
            job.section(TrainParams),
            on_step=told.step,
        )

    train = job.section(TrainParams).model_dump(mode="json")
    del train["seed"]  # each member has its own
    return make_part(
        job,
        "ensemble-chunk",
        fill,
        parameters={
            "model": job.section(ModelParams).model_dump(mode="json"),
            "train": train,
            "seeds": list(seeds),
        },
        inputs=job.inputs,
        code=["geocore.ensembles.chunk"],
        device=job.section(RuntimeParams).device,
    )


def _predict(
    job: Job, network: nn.Module, chunk: Piece, members: int, feeds: Mapping[str, Feed]
) -> Piece:
    """A chunk's logits, ``(members, n, classes)`` float64 a split.

    A part of its own, so that a change in what is measured on predictions trains nothing again.
    """
    batch_size = job.section(TrainParams).batch_size  # as in the validation of the training

    def fill(folder: Path) -> None:
        found: dict[str, list[Tensor]] = {split: [] for split in _MEASURED}
        with deterministic(0, feeds["test"].device):
            for place in range(members):
                network.load_state_dict(load_file(chunk.file(weights_name(place))))
                for split, logits in found.items():
                    logits.append(predict(network, feeds[split], batch_size).logits)
        stacked = {split: torch.stack(logits) for split, logits in found.items()}
        save_file(stacked, folder / "logits.safetensors")

    return make_part(
        job,
        "ensemble-predictions",
        fill,
        parameters={"batch_size": batch_size},
        inputs={**job.inputs, "chunk": digest_json(chunk.manifest["files"])},
        code=["geocore.pipeline.ensembling"],
        device=job.section(RuntimeParams).device,
    )


def _joined(predicted: Sequence[Piece]) -> dict[str, Tensor]:
    """All members' logits by split."""
    chunks = [load_file(part.file("logits.safetensors")) for part in predicted]
    return {split: torch.cat([chunk[split] for chunk in chunks]) for split in _MEASURED}

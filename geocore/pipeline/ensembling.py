"""The body of ``ensemble``: chunks of members, what they predict, and their mixture."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
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
from geocore.ensembles.apart import Workers
from geocore.ensembles.chunk import train_chunk, weights_name
from geocore.ensembles.mixture import Mixture
from geocore.ensembles.on_dask import AT_ONCE, DaskWorkers
from geocore.ensembles.seeds import in_chunks, member_seeds
from geocore.pipeline.ensemble_pixels import predict_pixels
from geocore.pipeline.ensemble_results import MixedSplit, write_pixel_results, write_results
from geocore.pipeline.learning import network_code
from geocore.pipeline.long_part import make_long_part
from geocore.pipeline.on_cluster import cluster_of
from geocore.pipeline.piece import make_part
from geocore.pipeline.predictions import predict
from geocore.pipeline.progress import Bar
from geocore.pipeline.stage import Job, Manifest
from geocore.pipeline.training import open_source
from geocore.runs.at_once import at_once
from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_json
from geocore.runs.slots import Slots
from geocore.runs.store import Piece
from geocore.train.device import resolve
from geocore.train.feed import Feed, table_feed
from geocore.train.loop import steps_per_epoch
from geocore.train.network import about, network
from geocore.train.objective import objective
from geocore.train.randomness import deterministic

__all__ = ["ensemble"]

_MEASURED = ("val", "test")


def ensemble(job: Job, folder: Path) -> Manifest:
    """Train the members, chunk by chunk, and write everything that the stage gives into ``folder``.

    A chunk is two parts: its weights and curves, and its logits; of pixels what all members
    predict is one part. Returns the headline, the files' digests and the parts' keys. Raises
    ``UserError`` for an input that is not finite, a label that is no class, and a training that
    stops.
    """
    params, device = job.section(EnsembleParams), resolve(job.section(RuntimeParams).device)
    train_params = job.section(TrainParams)
    table, where = open_source(job)
    feeds = {
        split: table_feed(table, split, device, train_params.task)
        for split in ("train", *_MEASURED)
    }
    learned = objective(train_params, table.info.classes, feeds["train"], where)
    for split in _MEASURED:
        learned.require(feeds[split], where)

    seeds = member_seeds(params.seed, params.members)
    model = network(job.section(ModelParams), table.info.type, learned, seeds[0]).to(device).eval()
    steps = train_params.epochs * steps_per_epoch(len(feeds["train"]), train_params)
    chunks = in_chunks(seeds, params.chunk)
    with job.progress.bar("ensemble", params.members * steps) as bar:
        told = _Told(bar, params.members, steps)
        trained = _train(job, chunks, table, device, told)
        if learned.dense:
            measured = {split: feeds[split] for split in _MEASURED}
            predicted = [predict_pixels(job, model, trained, measured, learned)]
        else:
            predicted = [
                _predict(job, model, part, len(chunk), feeds)
                for part, chunk in zip(trained, chunks, strict=True)
            ]
    job.note(device=str(device))
    info = about(job.section(ModelParams), table.info, learned, model)
    write_json(folder / "model.json", info.to_json())
    if learned.dense:
        written = write_pixel_results(folder, trained, predicted[0], learned.names)
    else:
        splits = {
            split: MixedSplit(feeds[split].ids.cpu(), feeds[split].labels.cpu(), Mixture(logits))
            for split, logits in _joined(predicted).items()
        }
        written = write_results(folder, trained, splits, learned.names)
    return {**written, "parts": [part.key for part in (*trained, *predicted)]}


class _Told:
    """How far each member is, from several threads, on one bar."""

    def __init__(self, bar: Bar, members: int, steps: int) -> None:
        self._bar, self._steps = bar, steps  # of a member that is not stopped early
        self._done = [0] * members
        self._lock = threading.Lock()

    def step(self, members: range, step: int, headline: str) -> None:
        last = f"{members.start + 1} to {members.stop}" if len(members) > 1 else str(members.stop)
        words = [f"member {last} of {len(self._done)}", *filter(None, [headline])]
        self._show(members, step, ", ".join(words))

    def trained(self, members: range) -> None:
        self._show(members, self._steps, "")

    def _show(self, members: range, step: int, words: str) -> None:
        with self._lock:
            for member in members:
                self._done[member] = step
            self._bar.start_at(sum(self._done), words)


def _train(
    job: Job,
    chunks: Sequence[Sequence[int]],
    table: Table,
    device: torch.device,
    told: _Told,
) -> list[Piece]:
    """The weights and curves of each chunk of members, by their seeds.

    With one process the chunks are trained here, one after the other; with more each in a process
    of its own, or on a Dask cluster (``geocore.runs.cluster``). The bytes are the same.
    """
    model, params = job.section(ModelParams), job.section(TrainParams)
    runtime, cluster = job.section(RuntimeParams), cluster_of(job, len(chunks))
    processes = runtime.processes(len(chunks))
    size = len(chunks[0])

    def members(number: int) -> range:
        return range(number * size, number * size + len(chunks[number]))

    def here(number: int, folder: Path, slots: Slots) -> dict[str, Any]:
        return train_chunk(
            folder,
            chunks[number],
            model,
            params,
            table,
            device,
            slots=slots,
            checkpoint_every=runtime.checkpoint_every,
            on_step=lambda state: told.step(members(number), state.step, state.headline()),
        )

    def part(number: int, fill: Callable[[int, Path, Slots], dict[str, Any]]) -> Piece:
        found = _chunk_part(job, chunks[number], lambda folder, slots: fill(number, folder, slots))
        told.trained(members(number))
        return found

    if cluster is None and processes == 1:
        return [part(number, here) for number in range(len(chunks))]

    threads = max(1, runtime.threads)
    trainers: Workers | DaskWorkers
    if cluster is None:
        trainers = Workers(table.folder, model, params, runtime.device, threads)
    else:
        trainers = DaskWorkers(cluster, table.folder, model, params, runtime.device, threads)
        processes = min(len(chunks), AT_ONCE)  # of which the scheduler makes what it can
    with trainers as workers:

        def apart(number: int, folder: Path, slots: Slots) -> dict[str, Any]:
            return workers.train_chunk(
                folder,
                chunks[number],
                lambda step, said: told.step(members(number), step, said),
                slots=slots,
                checkpoint_every=runtime.checkpoint_every,
            )

        calls = [partial(part, number, apart) for number in range(len(chunks))]
        found = dict(at_once(calls, processes, wait=False))  # the workers end what is under way
        return [found[number] for number in range(len(chunks))]


def _chunk_part(
    job: Job, seeds: Sequence[int], fill: Callable[[Path, Slots], dict[str, Any]]
) -> Piece:
    """The members with those seeds, whatever ensemble they are in.

    ``fill`` hands on the sections, the table and the seeds, and chooses nothing, so that the key
    need not stand for this module.
    """
    train = job.section(TrainParams).model_dump(mode="json")
    del train["seed"]  # each member has its own
    return make_long_part(
        job,
        "ensemble-chunk",
        fill,
        parameters={
            "model": job.section(ModelParams).model_dump(mode="json"),
            "train": train,
            "seeds": list(seeds),
        },
        inputs=job.inputs,
        code=["geocore.ensembles.chunk", network_code(job.sections)],
        device=job.section(RuntimeParams).device,
    )


def _predict(
    job: Job, model: nn.Module, chunk: Piece, members: int, feeds: Mapping[str, Feed]
) -> Piece:
    """A chunk's logits, ``(members, n, classes)`` float64 a split.

    A part of its own, so that a change in what is measured on predictions trains nothing again.
    """
    batch_size = job.section(TrainParams).batch_size  # as in the validation of the training

    def fill(folder: Path) -> None:
        found: dict[str, list[Tensor]] = {split: [] for split in _MEASURED}
        with deterministic(0, feeds["test"].device):
            for place in range(members):
                model.load_state_dict(load_file(chunk.file(weights_name(place))))
                for split, logits in found.items():
                    logits.append(predict(model, feeds[split], batch_size).logits)
        stacked = {split: torch.stack(logits) for split, logits in found.items()}
        save_file(stacked, folder / "logits.safetensors")

    return make_part(
        job,
        "ensemble-predictions",
        fill,
        parameters={"batch_size": batch_size},
        inputs={**job.inputs, "chunk": digest_json(chunk.manifest["files"])},
        code=[__name__, network_code(job.sections)],
        device=job.section(RuntimeParams).device,
    )


def _joined(predicted: Sequence[Piece]) -> dict[str, Tensor]:
    """All members' logits by split."""
    chunks = [load_file(part.file("logits.safetensors")) for part in predicted]
    return {split: torch.cat([chunk[split] for chunk in chunks]) for split in _MEASURED}

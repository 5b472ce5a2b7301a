"""The body of stage ``train``: the loop, its checkpoints in the store, its results in the piece.

Where ``torchrun`` started several processes, the first does this, and the others compute with it.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from geocore.config.model import ModelParams
from geocore.config.runtime import RuntimeParams
from geocore.config.train import TrainParams
from geocore.data.table import Table
from geocore.errors import UserError
from geocore.models.registry import ModelInfo
from geocore.pipeline.learning import source, wanted
from geocore.pipeline.stage import Job, Manifest
from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_file
from geocore.runs.slots import Slots
from geocore.train.checkpoint import read_checkpoint, write_checkpoint
from geocore.train.classification import Classification
from geocore.train.device import resolve
from geocore.train.feed import table_feed
from geocore.train.loop import steps_per_epoch, train
from geocore.train.network import about, network
from geocore.train.objective import Objective, objective, recorded
from geocore.train.processes import await_call, call, joined, own_device
from geocore.train.segmentation import Segmentation
from geocore.train.state import TrainState
from geocore.train.together import train_together
from geocore.train.torchrun import Place, place

__all__ = ["Checkpoints", "fit", "follow", "open_source"]


def fit(job: Job, folder: Path) -> Manifest:
    """Fill the piece's folder; the manifest is its files' digests and the headline values."""
    params, runtime = job.section(TrainParams), job.section(RuntimeParams)
    device = resolve(runtime.device)
    table, where = open_source(job)
    training, validation = (
        table_feed(table, split, device, params.task) for split in ("train", "val")
    )
    learned = objective(params, table.info.classes, training, where)
    learned.require(validation, where)

    state = TrainState.start(
        network(job.section(ModelParams), table.info.type, learned, params.seed), params, device
    )
    checkpoints = Checkpoints(job)
    checkpoints.resume(state)
    first, began = state.step, time.perf_counter()
    total = params.epochs * steps_per_epoch(len(training), params)
    here = place()
    learn = train if here is None else partial(_train_with_others, job, here)
    with job.progress.bar("train", total) as bar:
        bar.start_at(first)
        learn(
            state,
            training,
            validation,
            params,
            objective=learned,
            checkpoint_every=runtime.checkpoint_every,
            on_checkpoint=checkpoints.save,
            on_step=lambda state: bar.advance(note=state.headline()),
        )
    seconds = time.perf_counter() - began
    job.note(steps_per_second=round((state.step - first) / seconds, 3), device=str(device))
    info = about(job.section(ModelParams), table.info, learned, state.model)
    return _write_results(folder, state, info, learned, len(training))


def follow(here: Place, root: Path) -> None:
    """Compute with the process that fits, once it calls; write nothing.

    The table is read as it lies in the project at ``root``. Raises ``UserError`` where another one
    lies there than the caller's.
    """
    called = await_call(here)
    if not called:  # it found the training in the store
        return
    said = json.loads(called)
    params = TrainParams.read(said["train"])
    runtime = RuntimeParams.read(said["runtime"])
    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    device = own_device(here, runtime.device)
    folder = root / said["table"]
    # Verified by who calls: of the samples each process reads those of its shares alone.
    table = Table.open(folder)
    found = digest_file(folder / "table.json")
    if found != said["digest"]:
        raise UserError(
            f"process {here.rank} of {here.size}: {said['table']} is another table than that of "
            "process 0; expected a folder that all processes see"
        )
    training, validation = (
        table_feed(table, split, device, params.task) for split in ("train", "val")
    )
    learned = _objective(params, said["objective"], table.info.classes)
    model = network(ModelParams.read(said["model"]), table.info.type, learned, params.seed)
    state = TrainState.start(model, params, device)
    with joined(here, device) as group:
        train_together(state, training, validation, params, group=group, objective=learned)


def _train_with_others(
    job: Job,
    here: Place,
    *arguments: Any,
    objective: Objective,
    **callbacks: Any,
) -> None:
    """``train``, with those that ``follow``."""
    where = job.input(source(job))
    sections = {
        kind.title: job.section(kind).model_dump(mode="json")
        for kind in (ModelParams, TrainParams, RuntimeParams)
    }
    said = {
        **sections,
        "table": where.relative_to(job.root).as_posix(),
        "digest": digest_file(where / "table.json"),
        "objective": objective.record(),
    }
    device = own_device(here, job.section(RuntimeParams).device)
    call(here, json.dumps(said))
    with joined(here, device) as group:
        train_together(*arguments, group=group, objective=objective, **callbacks)
    job.note(processes=here.size)


def _objective(
    params: TrainParams, record: Mapping[str, Any], classes: tuple[str, ...]
) -> Objective:
    """That of the caller: what it took from all targets stands in its record."""
    found = recorded(params.task, record, classes)
    if isinstance(found, Classification | Segmentation):
        return dataclasses.replace(found, label_smoothing=params.label_smoothing)
    return found


def open_source(job: Job) -> tuple[Table, str]:
    """The table that the job's network learns from, and what errors call it.

    Raises ``UserError`` for a table of another type, one that was altered, and images that are not
    finite.
    """
    name = source(job)
    table = Table.open(job.input(name), wanted(job), verify=True)
    table.require_finite()
    return table, job.stage.takes[name].path


def _write_results(
    folder: Path, state: TrainState, info: ModelInfo, learned: Objective, samples: int
) -> Manifest:
    weights = {name: value.cpu().contiguous() for name, value in state.best_weights.items()}
    save_file(weights, folder / "weights.safetensors")
    write_json(folder / "model.json", info.to_json())
    metrics = {**state.summary(learned.names), "parameters": info.parameters, "samples": samples}
    write_json(folder / "metrics.json", metrics)
    rows = [",".join(repr(row[column]) for column in learned.columns) for row in state.curve]
    curve = "\n".join([",".join(learned.columns), *rows]) + "\n"
    (folder / "curve.csv").write_text(curve, encoding="utf-8")
    digests = {path.name: digest_file(path) for path in sorted(folder.iterdir())}
    return {"files": digests, **metrics}


class Checkpoints:
    """The last two checkpoints of the job's training."""

    def __init__(self, job: Job) -> None:
        self._job, self._slots = job, Slots(job.store, job.key)

    def resume(self, state: TrainState) -> None:
        """Bring ``state`` to the newest checkpoint that is whole, if there is one."""
        # The run names both, so that gc keeps what it may need.
        self._job.note(pieces=dict.fromkeys(self._slots.keys, "used"))
        newest = self._slots.newest()
        if newest is None:
            return
        read_checkpoint(newest.folder, state)
        self._job.progress.say(f"train: goes on from step {state.step}")
        self._job.note(resumed_from=state.step)

    def save(self, state: TrainState) -> None:
        """Replace the older of the two; a state that is not finite is none to go on from."""
        self._slots.save(state.step, lambda folder: write_checkpoint(folder, state))

    def remove(self) -> None:
        """The training is sealed and needs them no more."""
        self._slots.remove()

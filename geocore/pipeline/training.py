"""The body of stage ``train``: the loop, its checkpoints in the store, its results in the piece."""

from __future__ import annotations

import time
from pathlib import Path

from safetensors.torch import save_file

from geocore.config.model import ModelParams
from geocore.config.runtime import RuntimeParams
from geocore.config.train import TrainParams
from geocore.data.table import Table
from geocore.models.registry import ModelInfo
from geocore.pipeline.learning import source, wanted
from geocore.pipeline.stage import Job, Manifest
from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_file, digest_json
from geocore.train.checkpoint import read_checkpoint, write_checkpoint
from geocore.train.device import resolve
from geocore.train.feed import table_feed
from geocore.train.loop import steps_per_epoch, train
from geocore.train.network import about, network
from geocore.train.objective import Objective, objective
from geocore.train.state import TrainState

__all__ = ["Checkpoints", "fit", "open_source"]


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
    with job.progress.bar("train", total) as bar:
        bar.start_at(first)
        train(
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
    """The last two checkpoints of a training: two pieces in turn, so that one may be damaged."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._keys = [digest_json([job.key, "checkpoint", slot]) for slot in range(2)]
        self._noted: set[str] = set()

    def resume(self, state: TrainState) -> None:
        """Bring ``state`` to the newest checkpoint that is whole, if there is one."""
        pieces = [self._job.store.find(key) for key in self._keys]
        found = [piece for piece in pieces if piece is not None]
        if not found:
            return
        newest = max(found, key=lambda piece: int(piece.values["step"]))
        if newest.key == self._keys[0]:
            self._keys.reverse()  # the next one takes the place of the other
        read_checkpoint(newest.folder, state)
        self._job.progress.say(f"train: goes on from step {state.step}")
        self._job.note(resumed_from=state.step)

    def save(self, state: TrainState) -> None:
        """Replace the older of the two."""
        key = self._keys[0]
        self._keys.reverse()

        def fill(folder: Path) -> dict[str, int]:
            write_checkpoint(folder, state)
            return {"step": state.step}

        about = {"training": self._job.key}
        self._job.store.replace(key, fill, verb="checkpoint", parameters=about)
        if key not in self._noted:  # the run names it, so that gc keeps what it may need
            self._noted.add(key)
            self._job.note(pieces={key: "made"})

    def remove(self) -> None:
        """The training is sealed and needs them no more."""
        for key in self._keys:
            self._job.store.remove(key)

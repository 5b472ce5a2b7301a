"""The body of stage ``train``: the loop, its checkpoints in the store, its results in the piece."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from geocore.config.model import ModelParams
from geocore.config.runtime import RuntimeParams
from geocore.config.train import TrainParams
from geocore.data.table import Table
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.models.registry import ModelInfo, build
from geocore.pipeline.stage import Job, Manifest
from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_file, digest_json
from geocore.train.checkpoint import read_checkpoint, write_checkpoint
from geocore.train.device import resolve
from geocore.train.feed import normaliser, table_feed
from geocore.train.loop import steps_per_epoch, train
from geocore.train.state import COLUMNS, TrainState

__all__ = ["Checkpoints", "fit"]


def fit(job: Job, folder: Path, wanted: TableType) -> Manifest:
    """Fill the piece's folder; the manifest is its files' digests and the headline values."""
    params, runtime = job.section(TrainParams), job.section(RuntimeParams)
    device = resolve(runtime.device)
    table = Table.open(job.input("healpix"), wanted, verify=True)
    table.require_finite()
    where, kind, classes = job.stage.takes["healpix"].path, table.info.type, table.info.classes
    if not classes:
        raise UserError(f"{where}: names no classes; expected a name for each label")
    training = table_feed(table, "train", device)
    validation = table_feed(table, "val", device)
    for feed in (training, validation):
        feed.require_classes(len(classes), where)

    model = build(job.section(ModelParams), kind, len(classes), params.seed)
    state = TrainState.start(model, params, device)
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
            checkpoint_every=runtime.checkpoint_every,
            on_checkpoint=checkpoints.save,
            on_step=lambda state: bar.advance(note=_headline(state)),
        )
    seconds = time.perf_counter() - began
    job.note(steps_per_second=round((state.step - first) / seconds, 3), device=str(device))
    info = ModelInfo(
        params=job.section(ModelParams),
        type=kind,
        classes=classes,
        parameters=sum(p.numel() for p in state.model.parameters()),
        normaliser=normaliser(kind),
    )
    return _write_results(folder, state, info)


def _headline(state: TrainState) -> str:
    if not state.curve:
        return ""
    row = state.curve[-1]
    return f"validation NLL {row['val_nll']:.4f}, accuracy {row['val_accuracy']:.4f}"


def _write_results(folder: Path, state: TrainState, info: ModelInfo) -> Manifest:
    assert state.best is not None  # every training ends an epoch, and the first is the best so far
    weights = {name: value.cpu().contiguous() for name, value in state.best_weights.items()}
    save_file(weights, folder / "weights.safetensors")
    write_json(folder / "model.json", info.to_json())
    metrics: dict[str, Any] = {
        "best_epoch": state.best["epoch"],
        "epochs": state.epoch,
        "steps": state.step,
        "train_nll": state.best["train_nll"],
        "val_nll": state.best["val_nll"],
        "val_accuracy": state.best["val_accuracy"],
        "parameters": info.parameters,
    }
    write_json(folder / "metrics.json", metrics)
    rows = [",".join(repr(row[column]) for column in COLUMNS) for row in state.curve]
    curve = "\n".join([",".join(COLUMNS), *rows]) + "\n"
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

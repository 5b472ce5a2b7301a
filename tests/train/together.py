"""Trainings that must be the same whether one process does them or several."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from geocore.config.model import SwinParams
from geocore.config.train import TrainParams
from geocore.errors import UserError
from geocore.models.dropout import DropPath, ElementDropout
from geocore.models.heal_swin import HealSwin
from geocore.train.checkpoint import read_checkpoint, write_checkpoint
from geocore.train.classification import Classification
from geocore.train.feed import Feed, tensor_feed
from geocore.train.loop import train
from geocore.train.objective import objective
from geocore.train.processes import Group, joined, own_device
from geocore.train.randomness import epoch_order
from geocore.train.state import TrainState
from geocore.train.together import train_together
from geocore.train.torchrun import Place
from tests.train import pixels
from tests.train.pixels import MAPS, PerPixel, columns, pixel_params, write_dense
from tests.train.scenes import CPU, TABLE, blobs, feeds, network, train_params

__all__ = ["SCENES", "Mixed", "Scene", "go_on", "heal_swin", "learn", "learn_all"]


class Mixed(nn.Module):
    """Every way in which our layers draw, in ``dtype``."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.first, self.branch = nn.Linear(64, 24, dtype=dtype), nn.Linear(24, 24, dtype=dtype)
            self.last = nn.Linear(24, 3, dtype=dtype)
        self.plain, self.element = nn.Dropout(0.2), ElementDropout(0.2)
        self.path, self.dtype = DropPath(0.3), dtype

    def forward(self, x: Tensor) -> Tensor:
        x = self.plain(self.first(x.flatten(1).to(self.dtype)).relu())
        x = self.path(x, self.element(self.branch(x).relu()))
        out: Tensor = self.last(x)
        return out


def heal_swin() -> nn.Module:
    params = SwinParams(
        name="heal_swin", embed=8, depths=(2, 1), heads=(2, 2), window=4, mlp_ratio=2.0,
        dropout=0.2, position="none", shift="grid", norm="post", attention="cosine",
        relative_bias=True, dropout_kind="element", attention_dropout=0.2, drop_path=0.2,
        checkpointing=True,
    )  # fmt: skip
    return HealSwin(TABLE, 3, params, seed=0)


def _classes() -> tuple[Feed, Feed]:
    return feeds(20, 9)


def _pixels(task: str) -> tuple[Feed, Feed]:
    with TemporaryDirectory() as folder:
        table = write_dense(Path(folder) / "table", MAPS, columns(MAPS, rows=17))
        return pixels.feeds(table, task)


@dataclass(frozen=True)
class Scene:
    """A network, what it learns from, and how."""

    model: Callable[[], nn.Module]
    data: Callable[[], tuple[Feed, Feed]]
    params: TrainParams
    classes: tuple[str, ...] = ("a", "b", "c")


_TAMED: dict[str, Any] = {"epochs": 3, "lr": 0.003}
SCENES = {
    "encoder": Scene(network, _classes, train_params(**_TAMED, label_smoothing=0.1)),
    # Of 20 samples by 2 at a time, of 3 processes each time another one has none.
    "few": Scene(partial(network, 0.1), _classes, train_params(**_TAMED, batch_size=2)),
    "clipped": Scene(partial(Mixed, torch.float32), _classes,
                     train_params(**_TAMED, clip_norm=0.01)),
    "double": Scene(partial(Mixed, torch.float64), _classes, train_params(**_TAMED)),
    "swin": Scene(heal_swin, _classes, train_params(**_TAMED)),
    "masks": Scene(
        partial(PerPixel, 3),
        partial(_pixels, "segmentation"),
        pixel_params("segmentation", **_TAMED, batch_size=5, class_weights="inverse_frequency",
                     label_smoothing=0.1),
    ),
    "depths": Scene(partial(PerPixel, 1), partial(_pixels, "depth"),
                    pixel_params("depth", **_TAMED, batch_size=5)),
}  # fmt: skip


def learn(
    scene: Scene, group: Group | None, *, resume: Path | None = None, keep: Path, at: int
) -> tuple[TrainState, dict[str, Tensor]]:
    """The state at the end, and the gradients of the first step that is taken.

    From the checkpoint in ``resume``; ``keep`` is where that of step ``at`` goes.
    """
    training, validation = scene.data()
    learned = objective(scene.params, scene.classes, training, "table")
    state = TrainState.start(scene.model(), scene.params, CPU)
    first = group is None or group.rank == 0
    if resume is not None and first:  # the others hear of it
        read_checkpoint(resume, state)
    gradients: dict[str, Tensor] = {}

    def on_step(state: TrainState) -> None:
        if not gradients:
            slopes = {name: p.grad for name, p in state.model.named_parameters()}
            gradients.update((n, slope.clone()) for n, slope in slopes.items() if slope is not None)

    def on_checkpoint(state: TrainState) -> None:
        if state.step == at:
            write_checkpoint(keep, state)

    callbacks: dict[str, Any] = {}
    if first:
        callbacks = {"on_step": on_step, "on_checkpoint": on_checkpoint, "checkpoint_every": 1}
    data = (state, training, validation, scene.params)
    if group is None:
        train(*data, objective=learned, **callbacks)
    else:
        train_together(*data, group=group, objective=learned, **callbacks)
    return state, gradients


def learn_all(group: Group | None, folder: Path) -> None:
    """Every scene; process 0 writes the end, the gradients, and a checkpoint on the way."""
    for name, scene in SCENES.items():
        kept = folder / name / "kept"
        kept.mkdir(parents=True, exist_ok=True)
        _write(kept.parent, group, *learn(scene, group, keep=kept, at=4))


def go_on(group: Group | None, source: Path, folder: Path) -> None:
    """Every scene from the checkpoint in ``source``, and as ``learn_all``."""
    for name, scene in SCENES.items():
        kept = folder / name / "kept"
        kept.mkdir(parents=True, exist_ok=True)
        found = learn(scene, group, resume=source / name / "kept", keep=kept, at=7)
        _write(kept.parent, group, *found)


def by_two(here: Place, folder: str) -> None:
    """In one of two processes."""
    with joined(here, CPU) as group:
        learn_all(group, Path(folder) / "2")
        _spoiled(group, Path(folder))


def by_three(here: Place, folder: str) -> None:
    """In one of three."""
    root = Path(folder)
    with joined(here, CPU) as group:
        learn_all(group, root / "3")
        go_on(group, root / "then 1", root / "then 3")


def by_gpus(here: Place, folder: str) -> None:
    """A sum and rows of unequal numbers, on a GPU a process."""
    device = own_device(here, "cuda")
    with joined(here, device) as group:
        total = group.sum(torch.full((3,), here.rank + 1.0, device=device))
        counts = list(range(1, here.size + 1))
        rows = group.rows(
            torch.full((counts[here.rank], 2), float(here.rank), device=device), counts
        )
    told = {"sum": total.tolist(), "rows": rows.tolist(), "device": str(rows.device)}
    (Path(folder) / f"{here.rank}.json").write_text(json.dumps(told), encoding="utf-8")


def lost(here: Place, folder: str) -> None:
    """Process 1 dies in the fourth step; process 0 says what it then knows."""

    def on_step(state: TrainState) -> None:
        if here.rank == 1 and state.step == 4:
            os.kill(os.getpid(), signal.SIGKILL)

    scene = SCENES["clipped"]
    state = TrainState.start(scene.model(), scene.params, CPU)
    try:
        with joined(here, CPU) as group:
            train_together(
                state, *scene.data(), scene.params, group=group,
                objective=Classification(3), on_step=on_step,
            )  # fmt: skip
    except UserError as error:
        (Path(folder) / "told").write_text(f"{state.step} {error}")


def _spoiled(group: Group, folder: Path) -> None:
    """A sample that is not finite, in the second half of the first batch."""
    images, labels = blobs(20, 1)
    params = train_params()
    images[int(epoch_order(20, params.seed, 0)[6])] = torch.nan
    data = tensor_feed(images, labels), tensor_feed(*blobs(9, 2))
    try:
        train_together(
            TrainState.start(network(), params, CPU), *data, params,
            group=group, objective=Classification(3),
        )  # fmt: skip
    except UserError as error:
        (folder / f"spoiled{group.rank}").write_text(str(error))


def _write(folder: Path, group: Group | None, state: TrainState, slope: dict[str, Tensor]) -> None:
    if group is None or group.rank == 0:
        write_checkpoint(folder, state)
        save_file(slope, folder / "gradients.safetensors")

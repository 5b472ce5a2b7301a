"""The body of ``evaluate`` for networks that answer pixel by pixel: segmentation and depth.

Each sample is measured on the grid that the network reads and, where the stage has the other table
too, on that one: a HEALPix network in the image plane, a planar one on the sphere. Two networks of
different grids are compared on the ``shared`` pixels, those of the image that both tables have.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from geocore.config.evaluate import EvaluateParams
from geocore.config.runtime import RuntimeParams
from geocore.data.table import Table
from geocore.data.tablecamera import table_camera
from geocore.errors import UserError
from geocore.models.registry import ModelInfo, load
from geocore.pipeline.dense_grids import Crossing, DenseSplit, Grid
from geocore.pipeline.dense_pictures import draw
from geocore.pipeline.dense_tally import ALL, DepthTally, Panel, SegmentationTally, Shown, Tally
from geocore.pipeline.deterministic_pieces import deterministic_together
from geocore.pipeline.measuring import (
    digests,
    equivariance,
    evenly,
    require_same_classes,
    rotations,
    write_reliability,
    write_rows,
)
from geocore.pipeline.on_cluster import in_pieces
from geocore.pipeline.stage import Job, Manifest
from geocore.pipeline.symmetry_errors import Rotation, SymmetryErrors, no_errors, symmetry_errors
from geocore.pipeline.types import SOURCES, Source, source_of
from geocore.runs.atomic import write_json
from geocore.train.depth import Depth
from geocore.train.device import resolve
from geocore.train.objective import Objective, recorded

__all__ = ["evaluate_pixels", "opened"]

_Piece = tuple[bool, str, int, int]
_Told = tuple[Grid, DenseSplit, Tensor, Tensor]  # where, of which samples, what, what is known

# Where else a network is measured: on the other table of the same samples, if the stage has it.
_ELSEWHERE: dict[Source, Source] = {"healpix": "projected", "projected": "healpix"}
_TRACED = 4  # samples of which all layers are held at a time: their maps are large
_PLANAR = "the network reads planar images, whose pixels no rotation takes to pixels"


def evaluate_pixels(job: Job, folder: Path) -> Manifest:
    """Measure the network and write everything that the stage gives into ``folder``.

    Returns the headline and the files' digests. Raises ``UserError`` for a table that is missing,
    not finite or of other classes or samples, and for predictions that are not finite.
    """
    params, device = job.section(EvaluateParams), resolve(job.section(RuntimeParams).device)
    model, info = load(job.input("weights"), job.input("model"))
    model.to(device)
    objective = recorded(info.task, info.objective, info.classes)
    pair = _Pair.open(job, info, device)
    pair.require(job, objective)
    tally = _tally(job, info, objective, params, pair)
    exact, sampled, reason = (
        ([], {}, _PLANAR) if info.type.grid == "planar" else rotations(info.type, params)
    )
    every = _every((exact, sampled, reason))
    pieces = _pieces(pair, params, traced=bool(every))
    passes = [(stop - start) * (1 + len(every) if what else 1) for what, _, start, stop in pieces]
    here = _maker(model, pair.own, every, params, device)
    bars = job.progress.bar("evaluate", sum(passes))
    with deterministic_together(params.seed, device), bars as bar:
        told = _counted(in_pieces(job, here, opened, pieces), passes, bar.advance)
        traces = [next(told) for what, *_ in pieces if what]
        for split in pair.own:
            tally.begin(split)
            outputs = (torch.from_numpy(np.array(values)) for values in told)
            for answer in _answers(outputs, tally, pair, split, params.batch_size):
                tally.add(answer)
        errors = _joined(traces, every, pair.own["test"], params) if traces else no_errors()
        shown = _shown(model, tally, pair)  # by one thread, too, as all before the pieces' end
        deque(told, maxlen=0)
    metrics = {**tally.metrics(), "equivariance": equivariance(errors, reason)}
    write_json(folder / "metrics.json", metrics)
    pq.write_table(tally.table(), folder / "predictions.parquet")
    pq.write_table(errors.table(), folder / "equivariance.parquet")
    write_rows(folder / "confusion.csv", *tally.confusion_rows())
    write_reliability(folder / "reliability.csv", tally.reliability())
    write_rows(folder / "kept.csv", *tally.kept_rows())
    (folder / "pictures").mkdir()
    draw(folder / "pictures", tally, errors, shown)
    return {"files": digests(folder), **tally.headline()}


def _pieces(pair: _Pair, params: EvaluateParams, traced: bool) -> list[_Piece]:
    """Batches whose layers are traced, as those take longest, and those of whole splits in order.

    They are ``(traced, split, start, stop)``.
    """
    sizes = [(True, "test", min(len(pair.own["test"]), params.samples), _TRACED)] * traced
    sizes += [(False, split, len(pair.own[split]), params.batch_size) for split in pair.own]
    return [
        (what, split, start, min(start + step, count))
        for what, split, count, size in sizes
        for step in [min(size, params.batch_size)]
        for start in range(0, count, step)
    ]


def opened(job: Job) -> Callable[..., Any]:
    """What makes a piece of a job whose inputs were verified before: outputs, or errors."""
    params, device = job.section(EvaluateParams), resolve(job.section(RuntimeParams).device)
    model, info = load(job.input("weights"), job.input("model"))
    model.to(device)
    table = Table.open(job.input(source_of(info.type)))
    own = {split: DenseSplit(table, split, device, _task(info)) for split in ("val", "test")}
    every = [] if info.type.grid == "planar" else _every(rotations(info.type, params))
    return _maker(model, own, every, params, device)


def _maker(
    model: nn.Module,
    own: Mapping[str, DenseSplit],
    every: list[Rotation],
    params: EvaluateParams,
    device: torch.device,
) -> Callable[..., Any]:
    def piece(traced: bool, split: str, start: int, stop: int) -> Any:
        mine = own[split]
        with deterministic_together(params.seed, device):
            if not traced:
                return _asked(model, mine, torch.arange(start, stop)).numpy()
            positions = evenly(len(mine), params.samples)[start:stop]
            found = symmetry_errors(model, mine.feed, positions, every, stop - start)
            return found.errors.numpy(), found.floors.numpy(), list(found.layers)

    return piece


def _every(turns: tuple[list[Rotation], dict[str, list[Rotation]], str | None]) -> list[Rotation]:
    exact, sampled, _ = turns
    return [*exact, *(turn for group in sampled.values() for turn in group)]


def _task(info: ModelInfo) -> Literal["segmentation", "depth"]:
    return "segmentation" if info.task == "segmentation" else "depth"


def _asked(model: nn.Module, split: DenseSplit, positions: Tensor) -> Tensor:
    with torch.inference_mode():
        outputs: Tensor = model(split.images(positions)).float().cpu()
    return outputs.reshape(len(positions), -1, outputs.shape[-1])


def _counted(
    found: Iterator[Any], passes: Sequence[int], advance: Callable[[int], None]
) -> Iterator[Any]:
    for values, count in zip(found, passes, strict=True):
        advance(count)
        yield values


def _joined(
    traces: Sequence[Any], every: Sequence[Rotation], test: DenseSplit, params: EvaluateParams
) -> SymmetryErrors:
    errors, floors = (
        torch.from_numpy(np.concatenate([found[place] for found in traces], axis=-1))
        for place in (0, 1)
    )
    samples = test.feed.ids[evenly(len(test), params.samples)].cpu()
    return SymmetryErrors(every, traces[0][2], samples, errors, floors)


@dataclass(frozen=True)
class _Pair:
    """The table that the network reads and, if the stage has it, the other one of its samples."""

    own: Mapping[str, DenseSplit]
    other: Mapping[str, DenseSplit] | None
    crossing: Crossing | None

    @classmethod
    def open(cls, job: Job, info: ModelInfo, device: torch.device) -> _Pair:
        name = source_of(info.type)
        takes = job.stage.takes
        if name not in job.inputs:
            raise UserError(
                f"{takes[name].path}: is no input of {job.stage.name}; expected it among its deps, "
                f"since {info.params.name} reads it"
            )
        table = _open(job, name)
        faults = table.info.type.mismatches(info.type)
        if faults:
            about = takes["model"].path
            raise UserError(*(f"{about}: trained on other maps: {fault}" for fault in faults))
        require_same_classes(job, info.classes, table.info.classes, name)
        task = _task(info)
        own = {split: DenseSplit(table, split, device, task) for split in ("val", "test")}
        rest = _ELSEWHERE.get(name)
        if rest is None or rest not in job.inputs:
            return cls(own, None, None)
        table = _open(job, rest)
        require_same_classes(job, info.classes, table.info.classes, rest)
        other = {
            split: DenseSplit(table, split, device, task, mine.ids) for split, mine in own.items()
        }
        plane, mine = (other if name == "healpix" else own)["test"].table, own["test"].table
        return cls(own, other, Crossing(mine.info.type, table.info.type, table_camera(plane)))

    def require(self, job: Job, objective: Objective) -> None:
        """``UserError`` naming the first sample with a label or depth that cannot be."""
        for splits in (self.own, self.other or {}):
            for split in splits.values():
                name = source_of(split.table.info.type)
                objective.require(split.feed, job.stage.takes[name].path)


def _open(job: Job, name: Source) -> Table:
    """A dense table, whole and finite."""
    table = Table.open(job.input(name), SOURCES[name], verify=True)
    table.require_finite()
    return table


def _tally(
    job: Job, info: ModelInfo, objective: Objective, params: EvaluateParams, pair: _Pair
) -> Tally:
    """What counts the scores of the task."""
    grids: list[Grid] = [pair.own["test"].place]
    if pair.other is not None:
        grids += [pair.other["test"].place, "shared"]
    if info.task == "segmentation":
        unknown = [name for name in params.invalid_classes if name not in info.classes]
        if unknown:
            raise UserError(
                f"{job.params_file}: evaluate.invalid_classes names {unknown[0]!r}; "
                f"expected some of {', '.join(info.classes)}"
            )
        without = [info.classes.index(name) for name in params.invalid_classes]
        return SegmentationTally(grids, info.classes, without, params.calibration_bins)
    assert isinstance(objective, Depth)
    tables = [pair.own["test"].table, *([] if pair.other is None else [pair.other["test"].table])]
    return DepthTally(grids, objective, tables, params)


def _answers(
    outputs: Iterator[Tensor],
    tally: Tally,
    pair: _Pair,
    split: str,
    batch_size: int,
    positions: Tensor | None = None,
) -> Iterator[Shown]:
    """What the network says of the samples of a split, one by one, on each grid.

    ``outputs`` are its answers to each batch; no more are taken than the split has.
    """
    own = pair.own[split]
    other = None if pair.other is None else pair.other[split]
    chosen = torch.arange(len(own)) if positions is None else positions
    for batch in chosen.split(batch_size):
        answer, valid = next(outputs), own.valid(batch)
        # Outside the image anything may stand: it is not to reach a neighbour.
        values = tally.told(torch.where(valid[..., None], answer, 0))
        _require_finite(values, valid, own.ids[batch])
        told: list[_Told] = [(own.place, own, values, valid)]
        if other is not None and pair.crossing is not None:
            told += _elsewhere(pair.crossing, own, other, values, batch)
        targets = [split.targets(batch).cpu() for _, split, _, _ in told]
        for row, position in enumerate(batch.tolist()):
            panels = [
                Panel(grid, split, position, found[row], known[row], truth[row])
                for (grid, split, found, known), truth in zip(told, targets, strict=True)
            ]
            view = own.views[position] if own.views else ALL
            yield Shown(int(own.ids[position]), view, tuple(panels))


def _elsewhere(
    crossing: Crossing, own: DenseSplit, other: DenseSplit, values: Tensor, batch: Tensor
) -> list[_Told]:
    """What is said on the other grid, and on the pixels of the image that both tables have."""
    rotations, valid = own.rotations[batch], own.valid(batch)
    crossed, known = crossing(values, rotations, valid)
    there: list[_Told] = [(other.place, other, crossed, known)]
    if crossing.to_plane:
        return [*there, ("shared", other, crossed, known)]
    both = valid & crossing.shared(rotations, other.valid(batch))
    return [*there, ("shared", own, values, both)]


def _shown(model: nn.Module, tally: Tally, pair: _Pair) -> list[Shown]:
    """Of each view of the test split the samples that are done well, middling and badly."""
    own = pair.own["test"]
    found: list[Shown] = []
    for view in dict.fromkeys(own.views or [ALL]):
        ranked = tally.ranked(view)
        if not ranked:
            continue
        places = sorted({round(part * (len(ranked) - 1)) for part in (0.1, 0.5, 0.9)})
        where = {sample: place for place, sample in enumerate(own.ids.tolist())}
        positions = torch.tensor([where[ranked[place]] for place in places])
        asked = (_asked(model, own, place) for place in positions.split(1))
        found += _answers(asked, tally, pair, "test", 1, positions)
    return found


def _require_finite(told: Tensor, valid: Tensor, samples: Tensor) -> None:
    wrong = (~told.isfinite().all(dim=2) & valid).nonzero()
    if len(wrong):
        row, pixel = wrong[0].tolist()
        values = told[row, pixel]
        place = int((~values.isfinite()).nonzero()[0])
        raise UserError(
            f"the network's prediction {place} of sample {int(samples[row])} is "
            f"{float(values[place])} at pixel {pixel}; expected finite ones"
        )

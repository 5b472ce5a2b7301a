"""The body of ``spheres``: the network on a few samples and on their turns, as maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from geocore.config.runtime import RuntimeParams
from geocore.config.spheres import SpheresParams
from geocore.data.table import Table
from geocore.errors import UserError
from geocore.measure.equivariance import relative_error
from geocore.measure.uncertainty import entropy
from geocore.models.registry import ModelInfo, load, read_info
from geocore.pipeline.measuring import digests, require_same_classes
from geocore.pipeline.palette import class_colours
from geocore.pipeline.predictions import finite
from geocore.pipeline.sphere_grids import Shown
from geocore.pipeline.sphere_spectra import Spectra, sky_of
from geocore.pipeline.sphere_turns import Turn, circle
from geocore.pipeline.stage import Job, Manifest
from geocore.pipeline.types import SOURCES, Source, source_of
from geocore.report.sphere_file import UNKNOWN, Spheres, SphereSample, Turned, spheres_bytes
from geocore.runs.atomic import write_bytes, write_json
from geocore.train.depth import Depth
from geocore.train.device import resolve
from geocore.train.feed import Feed, table_feed
from geocore.train.objective import recorded
from geocore.train.randomness import deterministic

__all__ = ["measure"]


def measure(job: Job, folder: Path) -> Manifest:
    """Fill the piece's folder with ``maps.arrow`` and ``metrics.json``; digests and the headline.

    Of each sample and turn ``R``: the network's outputs of ``R x`` beside ``R`` of its outputs of
    ``x``, which of a class a sample are to be equal. Raises ``UserError`` for a network of planar
    images, a table that is missing, not finite or of other maps or classes, outputs that are not
    finite, and where healpy is missing.
    """
    params, device = job.section(SpheresParams), resolve(job.section(RuntimeParams).device)
    about = read_info(job.input("model"))
    table = _open(job, about)
    model, info = load(job.input("weights"), job.input("model"), table.info.type)
    require_same_classes(job, info.classes, table.info.classes, source_of(info.type))
    model.to(device)
    seen = _Seen.of(table, info, device, params.samples)
    turns = circle(table.info.type, params.axis, params.rotations)
    shown, spectra = Shown(table.info.type, params.nside), Spectra(table.info.type, params.nside)
    bar = job.progress.bar("spheres", len(turns))
    with deterministic(0, device), torch.inference_mode(), bar as shown_bar:
        outputs = _outputs(model, seen.images, seen.ids)
        told = _Told(info, shown, seen)
        samples = [told.sample(place, outputs, spectra) for place in range(len(seen.ids))]
        found: list[list[Turned]] = [[] for _ in samples]
        for turn in turns:
            for mine, one in zip(found, told.turned(model, turn, outputs), strict=True):
                mine.append(one)
            shown_bar.advance(1)
    spheres = Spheres(
        task=info.task,
        nside=shown.nside,
        faces=shown.faces,
        classes=info.classes if info.task != "depth" else (),
        colours=_colours(info.classes) if info.task != "depth" else (),
        source=_words(info),
        axis=params.axis,
        sky=sky_of(table.info.type, seen.valid),
        samples=tuple(
            SphereSample(**{**vars(one), "turns": tuple(mine)})
            for one, mine in zip(samples, found, strict=True)
        ),
    )
    write_bytes(folder / "maps.arrow", spheres_bytes(spheres))
    metrics = _metrics(spheres)
    write_json(folder / "metrics.json", metrics)
    return {"files": digests(folder), "equivariance": metrics["equivariance"]}


class _Seen(NamedTuple):
    """The chosen samples; ``images (n, ..., channels)`` are 0 where ``valid (n, pixels)`` is not.

    ``labels`` are classes ``(n,)``, or ``(n, pixels)`` codes or metres, marked where there is none.
    """

    ids: list[int]
    views: list[str]
    images: Tensor
    labels: Tensor
    valid: Tensor

    @classmethod
    def of(cls, table: Table, info: ModelInfo, device: torch.device, count: int) -> _Seen:
        """The first of the test split, from its views in turn."""
        feed: Feed = table_feed(table, "test", device, info.task)
        rows = table.rows_of("test")
        views = table.column("view")[rows] if "view" in table.columns else np.zeros(len(rows), int)
        turn = np.zeros(len(rows), int)  # how many of the same view come before
        for view in np.unique(views):
            turn[views == view] = np.arange(int((views == view).sum()))
        order = np.lexsort((views, turn))[:count]
        positions = torch.from_numpy(order)
        images, labels = feed(positions)
        valid = table.valid(rows[order])
        shape = (*valid.shape, -1)
        masked = torch.where(valid[..., None], images.cpu().reshape(shape), 0)
        names = [table.info.views[views[place]] if table.info.views else "" for place in order]
        ids = feed.ids[positions].tolist()
        return cls(ids, names, masked.reshape(images.shape), labels.cpu(), valid)


class _Told:
    """Turns outputs into what is shown of them, on the grid that is shown."""

    def __init__(self, info: ModelInfo, shown: Shown, seen: _Seen) -> None:
        self._info, self._shown, self._seen = info, shown, seen
        learned = recorded(info.task, info.objective, info.classes)
        self._depth = learned if isinstance(learned, Depth) else None

    def sample(self, place: int, outputs: Tensor, spectra: Spectra) -> SphereSample:
        """Sample ``place``, without its turns."""
        seen = self._seen
        valid, image = seen.valid[place], seen.images[place]
        image = image.reshape(len(valid), -1)
        said = outputs[place]
        found: dict[str, Any] = {"input": spectra.of(torch.where(valid[:, None], image, 0), valid)}
        if not self._info.dense:
            probabilities = said.double().softmax(dim=-1)
            label = np.array([int(seen.labels[place])], np.uint8)
            prediction, unsure = _float(probabilities), _float(entropy(probabilities)[None])
        else:
            target = seen.labels[place].reshape(-1)
            values, truth, known = self._values(said, target)
            found["label"] = spectra.of(truth, known)
            found["prediction"] = spectra.of(torch.where(valid[:, None], values, 0), valid)
            found["error"] = spectra.of(torch.where(known[:, None], values - truth, 0), known)
            label = self._map(target, known)
            prediction = self._map(self._said(said), valid)
            unsure = self._unsure(said, valid)
        return SphereSample(
            sample=seen.ids[place],
            view=seen.views[place],
            input=self._shown.means(image, valid),
            label=label,
            prediction=prediction,
            uncertainty=unsure,
            turns=(),
            spectra={name: _float(values) for name, values in found.items()},
        )

    def turned(self, model: nn.Module, turn: Turn, outputs: Tensor) -> list[Turned]:
        """Each sample under a turn."""
        seen, dense = self._seen, self._info.dense
        there = _outputs(model, turn.act(seen.images), seen.ids)
        shape = (*seen.images.shape[:-1], outputs.shape[-1])
        back = outputs
        if dense:
            back = turn.act(outputs.reshape(shape)).reshape(outputs.shape)
        known = turn.known[None, :, None] if dense else torch.ones(1, 1)
        errors = relative_error(there * known, back * known).tolist()
        sees = turn.act(seen.valid.float().reshape(*shape[:-1], 1))
        sees = (sees.reshape(len(errors), -1) > 0.5) & turn.known
        return [
            Turned(turn.angle, turn.exact, error, *self._pair(there[place], back[place], mine))
            for place, (error, mine) in enumerate(zip(errors, sees, strict=True))
        ]

    def _pair(self, there: Tensor, back: Tensor, known: Tensor) -> tuple[Any, Any, Any]:
        """Both as they are shown, and how far apart they are."""
        if self._depth is not None:
            first, second = self._said(there), self._said(back)
            off = (first - second).abs()
        else:
            p, q = there.double().softmax(dim=-1), back.double().softmax(dim=-1)
            off = (p - q).abs().sum(dim=-1) / 2
            if not self._info.dense:
                return _float(p), _float(q), _float(off[None])
            first, second = self._said(there), self._said(back)
        apart = self._shown.means(off[:, None], known)[:, 0]
        return self._map(first, known), self._map(second, known), apart

    def _said(self, outputs: Tensor) -> Tensor:
        """Codes or metres ``(pixels,)``."""
        if self._depth is not None:
            return self._depth.metres(outputs.double())
        return outputs.argmax(dim=-1).to(torch.uint8)

    def _values(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What spectra are taken of, ``(pixels, channels)``: probabilities and one-hot labels, or
        metres; and where there is a truth, which is 0 elsewhere.
        """
        if self._depth is not None:
            metres = target.double()[:, None]
            return self._said(outputs)[:, None], metres, target > 0
        known = target != UNKNOWN
        classes = outputs.shape[-1]
        truth = nn.functional.one_hot(torch.where(known, target.long(), 0), classes)
        return outputs.double().softmax(dim=-1), truth.double() * known[:, None], known

    def _map(self, values: Tensor, known: Tensor) -> Any:
        if self._depth is not None:
            return self._shown.means(values[:, None], known)[:, 0]
        return self._shown.majority(values, known, len(self._info.classes))

    def _unsure(self, outputs: Tensor, known: Tensor) -> Any:
        """Entropies in nats, or the deviation in metres where the network tells one."""
        if self._depth is None:
            values = entropy(outputs.double().softmax(dim=-1))
        elif outputs.shape[-1] == 1:
            return None
        else:
            values = self._depth.std * (outputs[:, 1].double() / 2).exp()
            if self._depth.scale == "log":
                values = values * self._said(outputs)
        return self._shown.means(values[:, None], known)[:, 0]


def _open(job: Job, info: ModelInfo) -> Table:
    name: Source = source_of(info.type)
    takes = job.stage.takes
    if name == "projected":
        raise UserError(
            f"{takes['model'].path}: {info.params.name} reads planar images; expected a network on "
            "the sphere, whose maps are to be shown"
        )
    if name not in job.inputs:
        raise UserError(
            f"{takes[name].path}: is no input of {job.stage.name}; expected it among its deps, "
            f"since {info.params.name} reads it"
        )
    table = Table.open(job.input(name), SOURCES[name], verify=True)
    table.require_finite()
    if not len(table.rows_of("test")):
        raise UserError(f"{takes[name].path}: has no test sample; expected at least one")
    return table


def _outputs(model: nn.Module, images: Tensor, ids: Sequence[int]) -> Tensor:
    """``(n, outputs)``, or ``(n, pixels, outputs)``, on the CPU, where maps are turned."""
    device = next(model.parameters()).device
    outputs: Tensor = model(images.to(device)).float().cpu()
    if outputs.ndim > 2:
        outputs = outputs.reshape(len(outputs), -1, outputs.shape[-1])
    wrong = (~outputs.isfinite()).flatten(1).any(dim=1).nonzero()
    if len(wrong):
        raise UserError(
            f"the network's output of sample {ids[int(wrong[0])]} is not finite; expected numbers"
        )
    return outputs


def _float(values: Tensor) -> Any:
    return values.float().cpu().numpy()


def _colours(classes: Sequence[str]) -> tuple[str, ...]:
    shades = (class_colours(classes) * 255).round().int().tolist()
    return tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in shades)


def _words(info: ModelInfo) -> str:
    kind = info.type
    if kind.grid == "driscoll-healy":
        return f"{info.params.name}, Driscoll-Healy grid {kind.height} x {kind.width}"
    faces = "" if kind.faces is None or len(kind.faces) == 12 else f", {len(kind.faces)} faces"
    return f"{info.params.name}, HEALPix nside {kind.nside}{faces}"


def _metrics(spheres: Spheres) -> dict[str, Any]:
    """The errors of turns that move pixels to pixels, and of those that interpolate."""
    turns = [turn for one in spheres.samples for turn in one.turns if turn.angle]
    errors: dict[str, Any] = {}
    for name, exact in (("exact", True), ("interpolated", False)):
        mine = [turn.error for turn in turns if turn.exact == exact and np.isfinite(turn.error)]
        if mine:
            errors[name] = {"mean": finite(torch.tensor(mine).mean()), "max": max(mine)}
    unsure = [one.uncertainty for one in spheres.samples if one.uncertainty is not None]
    means = [float(np.nanmean(values.astype(np.float64))) for values in unsure]
    return {
        "samples": len(spheres.samples),
        "sky": spheres.sky,
        "uncertainty": float(np.mean(means)) if means else None,
        "equivariance": errors,
    }

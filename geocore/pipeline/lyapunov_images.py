"""Images, networks with a bottleneck that tell their classes, and what those answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from geocore.config.lyapunov import ImagesLyapunov
from geocore.errors import UserError
from geocore.explain.hidden import HiddenMap
from geocore.explain.lyapunov import lyapunov_exponents
from geocore.explain.section import Section, exponent_field
from geocore.explain.tanh_network import parted
from geocore.measure.ranking import auroc
from geocore.models.functional import Functional
from geocore.pipeline.orbit_images import images_of
from geocore.runs.digest import digest_bytes, digest_json

__all__ = ["ImageTask", "answers", "image_task", "loaded", "plane", "section"]

_AT_ONCE = 2000  # images whose exponents are taken together
_CORNERS = 3  # images that span a section


@dataclass(frozen=True)
class ImageTask:
    """``inputs (n, pixels)`` float32 and ``targets (n,)``; ``test`` and ``truth`` likewise.

    Pixels are shifted and scaled to mean 0 and standard deviation 1, over all those of all images
    to train on.
    """

    inputs: Tensor
    targets: Tensor
    test: Tensor
    truth: Tensor
    classes: int

    @cached_property
    def digest(self) -> str:
        """Of all numbers."""
        held = (self.inputs, self.targets, self.test, self.truth)
        return digest_json([digest_bytes(one.contiguous().numpy().tobytes()) for one in held])


def image_task(params: ImagesLyapunov, root: Path) -> ImageTask:
    """The images that ``params`` name. ``root`` is where own data is looked for.

    Raises ``UserError`` for data that are missing, broken or too few.
    """
    try:
        found = images_of(params.source, params.train, params.test, params.seed, root)
    except UserError as error:
        lines = [line.replace("orbits.", "lyapunov.") for line in error.lines]
        raise UserError(*lines) from None
    if len(found.truth.unique()) < _CORNERS:
        raise UserError(
            f"lyapunov.test is {params.test}: images of {len(found.truth.unique())} classes; "
            f"expected {_CORNERS}, more images have them"
        )
    inputs, test = found.inputs.flatten(1), found.test.flatten(1)
    mean, deviation = inputs.mean(), inputs.std()
    return ImageTask(
        ((inputs - mean) / deviation).float(), found.targets,
        ((test - mean) / deviation).float(), found.truth, found.classes,
    )  # fmt: skip


def answers(
    task: ImageTask, network: nn.Sequential, weights: dict[str, Tensor], before: int
) -> dict[str, Tensor]:
    """What the members of an ensemble say of the test images, float64.

    ``total (members, n)``: L lambda from pixels to the last hidden layer; ``probabilities (members,
    n, classes)``; ``place (members, n, 2)``: where the bottleneck puts them. In float64: in float32
    a saturated tanh has no slope.
    """
    hidden = HiddenMap(network.double())
    first, _ = parted(network, before + 1)
    call, placed = Functional(network), Functional(first)
    x = task.test.double()
    found: dict[str, list[Tensor]] = {"total": [], "probabilities": [], "place": []}
    for member in range(len(next(iter(weights.values())))):
        own = {name: value[member].double() for name, value in weights.items()}
        stacked = {name: value[None] for name, value in own.items()}
        parts = [lyapunov_exponents(hidden, some, stacked).total[0] for some in x.split(_AT_ONCE)]
        found["total"].append(torch.cat(parts))
        with torch.no_grad():
            found["probabilities"].append(call(own, x).softmax(dim=-1))
            found["place"].append(placed({n: own[n] for n in placed.names}, x))
    return {name: torch.stack(values) for name, values in found.items()}


def plane(
    network: nn.Sequential, weights: dict[str, Tensor], before: int, size: int
) -> dict[str, Tensor]:
    """The bottleneck's plane as the members' layers behind it stretch it, float64.

    Over ``[-1, 1]^2``, where tanh ends: ``total (members, size, size)``, ``direction (members,
    size, size, 2)``, the predicted ``label (members, size, size)``, and ``auc (members,)`` of the
    exponent for points beside which another class is predicted.
    """
    flat = Section.plane(1.0, size, dtype=torch.float64)
    kept: dict[str, list[Tensor]] = {"total": [], "direction": [], "label": [], "auc": []}
    for member in range(len(next(iter(weights.values())))):
        one = loaded(network, weights, member)
        _, second = parted(one, before + 1)
        field = exponent_field(HiddenMap(second), flat)
        with torch.no_grad():
            label = second(flat.points().flatten(0, 1)).argmax(dim=-1).view(size, size)
        border = _bordering(label)
        split = bool(border.any()) and not bool(border.all())
        auc = auroc(field.exponent[~border], field.exponent[border]) if split else torch.nan
        for name, value in (
            ("total", field.total), ("direction", field.direction), ("label", label),
            ("auc", torch.tensor(auc, dtype=torch.float64)),
        ):  # fmt: skip
            kept[name].append(value)
    return {name: torch.stack(values) for name, values in kept.items()}


def section(
    task: ImageTask, network: nn.Sequential, weights: dict[str, Tensor], size: int
) -> dict[str, Tensor]:
    """A flat section through three test images of different classes, the first of each.

    ``total (members, size, size)``, ``direction`` of the same with 2 behind, ``probabilities (size,
    size, classes)``, the mean of the members; ``corners (3, 2)`` and ``classes (3,)``, where and
    what the images are; ``extent``.
    """
    order = [int((task.truth == label).nonzero()[0]) for label in task.truth.unique()]
    rows = sorted(order)[:_CORNERS]
    a, b, c = task.test[rows].double()
    flat = Section.through((a, b, c), size=size)
    points = flat.points().flatten(0, 1)
    totals, directions, mean = [], [], torch.zeros(size * size, task.classes, dtype=torch.float64)
    members = len(next(iter(weights.values())))
    for member in range(members):
        one = loaded(network, weights, member)
        field = exponent_field(HiddenMap(one), flat)
        totals.append(field.total)
        directions.append(field.direction)
        with torch.no_grad():
            mean += one(points).softmax(dim=-1) / members
    corners = flat.components(task.test[rows].double() - flat.origin)
    return {
        "total": torch.stack(totals), "direction": torch.stack(directions),
        "probabilities": mean.unflatten(0, (size, size)), "corners": corners,
        "classes": task.truth[rows], "extent": torch.tensor(flat.extent, dtype=torch.float64),
    }  # fmt: skip


def loaded(network: nn.Sequential, weights: dict[str, Tensor], member: int) -> nn.Sequential:
    """``network`` in float64 with a member's weights, in place."""
    network = network.double()
    network.load_state_dict({name: value[member].double() for name, value in weights.items()})
    return network


def _bordering(label: Tensor) -> Tensor:
    """Points of a grid ``(size, size)`` beside which, or at which, the label changes."""
    found = torch.zeros_like(label, dtype=torch.bool)
    rows, columns = label[1:] != label[:-1], label[:, 1:] != label[:, :-1]
    found[1:] |= rows
    found[:-1] |= rows
    found[:, 1:] |= columns
    found[:, :-1] |= columns
    return found

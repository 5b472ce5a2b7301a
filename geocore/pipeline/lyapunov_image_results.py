"""What ``lyapunov`` writes of images: error and uncertainty against the exponent, pictures."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geocore.config.lyapunov import ImagesLyapunov
from geocore.explain.ridges import find_ridges
from geocore.explain.section import ExponentField, Section
from geocore.healpix.draw import write_png
from geocore.measure.correlation import rank_correlation
from geocore.measure.ranking import auroc
from geocore.measure.uncertainty import entropy, mutual_information
from geocore.pipeline.lyapunov_images import ImageTask
from geocore.report.field_chart import Label, Panel, field_chart
from geocore.report.line_chart import Mark, line_chart

__all__ = ["EnsembleFigures", "ImageResults", "ensemble_figures"]

_RISES = ("wrong", "entropy", "mutual_information")
_SHOWN = 150  # test images on a picture of the plane
_PANELS = 3  # members on it
_RIGHT, _WRONG = (255, 255, 255), (90, 200, 250)
_RIDGES = 0.75  # the share of a picture's values that lie below what is drawn as a ridge


@dataclass(frozen=True)
class EnsembleFigures:
    """Of an ensemble, by test image ``(n,)``: ``total``, L lambda, the mean over members;
    ``wrong``, the share of members that are wrong; ``entropy`` of the members' mean, and the
    ``mutual_information`` in nats. ``missed (n,)`` bool: whether the mean is wrong. Means over
    members: ``member``, their accuracy; ``own``, the rank correlation of a member's exponent with
    its own errors; ``plane_auc``, the AUC on the bottleneck's plane.
    """

    total: Tensor
    wrong: Tensor
    entropy: Tensor
    mutual_information: Tensor
    missed: Tensor
    member: float
    own: float
    plane_auc: float

    def rise(self, name: str) -> float:
        """The rank correlation of that with the exponent; NaN where one does not vary."""
        return _correlation(self.total, getattr(self, name))

    @property
    def auc(self) -> float:
        """Of the exponent for images that the ensemble misses; NaN where there is none."""
        missed = self.missed
        some = bool(missed.any()) and not bool(missed.all())
        return auroc(self.total[~missed], self.total[missed]) if some else math.nan

    def groups(self, count: int) -> list[dict[str, float]]:
        """Means over equally many images, by growing exponent."""
        parts = torch.tensor_split(self.total.argsort(stable=True), count)
        names = ("total", *_RISES)
        return [{name: float(getattr(self, name)[at].mean()) for name in names} for at in parts]


def ensemble_figures(
    truth: Tensor, said: dict[str, Tensor], plane: dict[str, Tensor]
) -> EnsembleFigures:
    """What the members said (``lyapunov_images.answers``) and their ``plane``, as figures."""
    probabilities = said["probabilities"]
    wrong = (probabilities.argmax(dim=-1) != truth).double()
    mean = probabilities.mean(dim=0)
    aucs = plane["auc"][plane["auc"].isfinite()]
    own = [_correlation(*pair) for pair in zip(said["total"], wrong, strict=True)]
    return EnsembleFigures(
        total=said["total"].mean(dim=0),
        wrong=wrong.mean(dim=0),
        entropy=entropy(mean),
        mutual_information=mutual_information(probabilities),
        missed=mean.argmax(dim=-1) != truth,
        member=1 - float(wrong.mean()),
        own=sum(own) / len(own),
        plane_auc=float(aucs.mean()) if len(aucs) else math.nan,
    )


@dataclass
class ImageResults:
    """Ensembles, and of the first one what is drawn."""

    params: ImagesLyapunov
    task: ImageTask
    ensembles: list[EnsembleFigures] = field(default_factory=list)
    section: dict[str, Tensor] | None = None
    first: tuple[dict[str, Tensor], dict[str, Tensor]] | None = None

    def add(self, said: dict[str, Tensor], plane: dict[str, Tensor]) -> None:
        """The next ensemble."""
        if self.first is None:
            self.first = said, plane
        self.ensembles.append(ensemble_figures(self.task.truth, said, plane))

    def document(self) -> dict[str, Any]:
        """What ``metrics.json`` holds: each figure's mean over ensembles and its standard error.

        ``rank_correlation`` of the exponent with the share of wrong members, the entropy and the
        mutual information, and by how many standard errors it is above 0; ``own`` is that of each
        member's exponent with its own errors; ``auc`` of the exponent
        for missed images; ``plane_auc`` for points of the bottleneck's plane at class borders;
        accuracies; ``groups`` of images by growing exponent.
        """
        grouped = [one.groups(self.params.groups) for one in self.ensembles]
        return {
            "rank_correlation": {
                name: _spread(values) | {"errors": _told(_errors(values))}
                for name, values in self._rises().items()
            },
            "own": _spread([one.own for one in self.ensembles]),
            "auc": _spread([one.auc for one in self.ensembles]),
            "plane_auc": _spread([one.plane_auc for one in self.ensembles]),
            "accuracy": {
                "member": _spread([one.member for one in self.ensembles]),
                "ensemble": _spread(
                    [1 - float(one.missed.double().mean()) for one in self.ensembles]
                ),
            },
            "groups": {
                str(place): {
                    name: _spread([one[place][name] for one in grouped]) for name in grouped[0][0]
                }
                for place in range(self.params.groups)
            },
        }

    def table(self) -> str:
        """A row for each ensemble and group of images."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["ensemble", "group", "total", *_RISES])
        for place, one in enumerate(self.ensembles):
            for number, group in enumerate(one.groups(self.params.groups)):
                told = [_told(value) for value in group.values()]
                cells = ["" if value is None else value for value in told]
                writer.writerow([place, number, *cells])
        return stream.getvalue()

    def draw(self, folder: Path) -> None:
        """``exponent.png``, ``plane.png``, ``section.png``, ``uncertainty.png``."""
        grouped = [one.groups(self.params.groups) for one in self.ensembles]
        curves: dict[str, list[Mark]] = {}
        for name, words in zip(
            _RISES, ("share of wrong members", "entropy", "mutual information"), strict=True
        ):
            for place in range(self.params.groups):
                totals = [one[place]["total"] for one in grouped]
                values = [one[place][name] for one in grouped]
                x = math.exp(sum(totals) / len(totals))
                if x > 0:  # where all tanh saturate there is no stretching
                    mark = Mark(x, sum(values) / len(values), _deviation(values))
                    curves.setdefault(words, []).append(mark)
        told = f"{self.params.source}: {self.params.groups} groups of images by their exponent"
        chart = line_chart(curves, told, "stretching, exp(L lambda)", "mean of the group")
        write_png(folder / "exponent.png", chart)
        write_png(folder / "plane.png", self._plane())
        assert self.section is not None  # the first ensemble's
        for name, chart in zip(("section", "uncertainty"), self._section(), strict=True):
            write_png(folder / f"{name}.png", chart)

    def broken(self) -> list[str]:
        """A line for each correlation that is not far enough above 0."""
        least = self.params.rise_errors_min
        return [
            f"lyapunov: the rank correlation of {name} with the exponent is {_errors(values):.3g} "
            f"standard errors above 0; expected at least {least:g} (lyapunov.rise_errors_min)"
            for name, values in self._rises().items()
            if name != "mutual_information" and not _errors(values) >= least
        ]

    def _rises(self) -> dict[str, list[float]]:
        return {name: [one.rise(name) for one in self.ensembles] for name in _RISES}

    def _plane(self) -> Any:
        assert self.first is not None
        said, plane = self.first
        truth = self.task.truth[:_SHOWN]
        panels = []
        for member in range(min(_PANELS, self.params.members)):
            predicted = said["probabilities"][member, :_SHOWN].argmax(dim=-1)
            places = said["place"][member, :_SHOWN].tolist()
            labels = [
                Label((at[0], at[1]), str(int(label)), _RIGHT if right else _WRONG)
                for at, label, right in zip(places, truth, predicted == truth, strict=True)
            ]
            flat = Section.plane(1.0, self.params.size, dtype=torch.float64)
            dots = _ridges(flat, plane["total"][member], plane["direction"][member])
            title = f"member {member + 1}"
            panels.append(Panel(title, plane["total"][member], 1.0, dots=dots, labels=labels))
        words = "The bottleneck's plane: L lambda of the layers behind it, ridges, test images"
        return field_chart(panels, words, "L lambda", _limits(panels))

    def _section(self) -> tuple[Any, Any]:
        assert self.section is not None
        cut = self.section
        extent, total = float(cut["extent"]), cut["total"]
        labels = [
            Label((at[0], at[1]), str(int(label)), _RIGHT)
            for at, label in zip(cut["corners"].tolist(), cut["classes"], strict=True)
        ]
        flat = _flat(extent, self.params.size)
        dots = _ridges(flat, total[0], cut["direction"][0])
        panels = [
            Panel("one member, its ridges", total[0], extent, dots=dots, labels=labels),
            Panel(f"mean of {len(total)} members", total.mean(dim=0), extent, labels=labels),
        ]
        words = "L lambda on a section through three test images"
        unsure = Panel("", entropy(cut["probabilities"]), extent, labels=labels)
        said = f"Entropy of the mean of {len(total)} members on the same section"
        return (
            field_chart(panels, words, "L lambda", _limits(panels)),
            field_chart([unsure], said, "nats"),
        )


def _correlation(first: Tensor, second: Tensor) -> float:
    if min(len(first.unique()), len(second.unique())) < 2:
        return math.nan
    return rank_correlation(first, second)


def _flat(extent: float, size: int) -> Section:
    """Of a section only its own coordinates, in which its ridges are."""
    plain = Section.plane(1.0, size, dtype=torch.float64)
    return Section(plain.origin, plain.first, plain.second, extent, size)


def _ridges(flat: Section, total: Tensor, direction: Tensor) -> Tensor:
    """Crests ``(k, 2)`` among the upper quarter of the values."""
    floor = float(total.quantile(_RIDGES))
    return find_ridges(ExponentField(flat, total, direction, 1), floor=floor).position


def _limits(panels: Sequence[Panel]) -> tuple[float, float]:
    """From the lowest hundredth up: a few points where all units saturate hide the rest."""
    every = torch.cat([panel.values.flatten() for panel in panels])
    every = every[every.isfinite()]
    return float(every.quantile(0.01)), float(every.max())


def _errors(values: Sequence[float]) -> float:
    """How many standard errors the mean is above 0: NaN if a value is, 0 where all are 0."""
    mean = sum(values) / len(values)
    if math.isnan(mean):
        return math.nan
    error = _deviation(values) / math.sqrt(len(values))
    if mean == 0:
        return 0.0
    return mean / error if error > 0 else math.copysign(math.inf, mean)


def _deviation(values: Sequence[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).std())


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    mean = sum(values) / len(values)
    return {"mean": _told(mean), "error": _told(_deviation(values) / math.sqrt(len(values)))}


def _told(value: float) -> float | None:
    """Four digits; None for what is no number."""
    return float(f"{value:.4g}") if math.isfinite(value) else None

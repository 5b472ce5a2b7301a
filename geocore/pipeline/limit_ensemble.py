"""Task ``ensemble``: how equivariant the mean of M wide members is, predicted and trained.

At infinite width the members are draws of a Gaussian process with a known mean and covariance at
every time; so the deviation on orbits of the mean of ``M`` of them is known too, ``M`` infinite
included, whether they learn from whole orbits or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from geocore.config.limit import EnsembleLimit
from geocore.ensembles.seeds import in_chunks, member_seeds
from geocore.kernels.augmented import augmented_predictor, orbit_deviation_limit
from geocore.kernels.gradient_flow import KernelPredictor
from geocore.kernels.protocol import described
from geocore.pipeline.limit_ensemble_figures import EnsembleFigures
from geocore.pipeline.limit_members import trained_answers
from geocore.pipeline.limit_networks import dense_network
from geocore.pipeline.limit_results import LimitResults
from geocore.pipeline.limit_samples import ising_task, with_channel
from geocore.pipeline.orbit_figures import measured as measured_figures
from geocore.pipeline.orbit_figures import sizes
from geocore.pipeline.orbit_task import OrbitTask
from geocore.pipeline.piece import make_part
from geocore.pipeline.stage import Job
from geocore.runs.digest import digest_bytes
from geocore.runs.store import Piece

__all__ = ["measured"]

_CODE = "geocore.pipeline.limit_members"
_LINES = {"augmented": True, "plain": False}
Tell = Callable[[int], None]


@dataclass(frozen=True)
class _Line:
    """What one line learns from: the kernel's predictor of ``(x, y)``, and ``x, y`` themselves."""

    name: str
    predictor: KernelPredictor

    @property
    def x(self) -> Tensor:
        return self.predictor.x

    @property
    def y(self) -> Tensor:
        return self.predictor.y


def measured(job: Job, params: EnsembleLimit) -> LimitResults:
    """Deviations by line, inputs, step and number of members, and what broke the law."""
    task = ising_task(params.side, params.train, params.test, params.seed)
    members = sizes(params.members)
    times = [float(step) for step in params.steps]
    parts: list[str] = []
    found: dict[str, dict[tuple[str, int], list[tuple[float, float]]]] = {}
    limits: dict[str, dict[tuple[str, int], float]] = {}
    apart: dict[str, dict[str, float]] = {}
    last = params.steps[-1]
    with job.progress.bar("limit: members", 2 * params.members * last) as bar:
        for place, name in enumerate(_LINES):
            line = _line(task, params, name)
            start = place * params.members * last

            def tell(done: int, start: int = start, name: str = name) -> None:
                bar.start_at(start + done, name)

            answers = _answers(job, params, task, line, tell, parts)
            found[name], limits[name] = {}, {}
            for kind, asked in task.asked.items():
                limit = orbit_deviation_limit(
                    line.predictor, task.part("C4"), with_channel(asked), times
                )
                of_all = limit.bias.square().mean(dim=1).sqrt()
                for at, step in enumerate(params.steps):
                    said = answers[at][..., task.rows(kind), :]
                    found[name][kind, step] = [
                        (
                            float(limit.deviation(count)[at]),
                            measured_figures(said, count, False).deviation,
                        )
                        for count in members
                    ]
                    limits[name][kind, step] = float(of_all[at])
            apart[name] = _apart(line.predictor, _asked(task), times[-1], answers)
    worst = _worst(limits["augmented"], task.targets)
    figures = EnsembleFigures(members, found, limits, apart, worst)
    return LimitResults(
        figures.document(),
        EnsembleFigures.HEADER,
        list(figures.rows()),
        figures.pictures(),
        broken=_broken(worst, params.law_max),
        parts=parts,
    )


def _line(task: OrbitTask, params: EnsembleLimit, name: str) -> _Line:
    kernel, x = dense_network(params.depth), with_channel(task.inputs)
    make = (
        augmented_predictor(kernel, task.part("C4"), x, task.targets, rate=params.lr)
        if _LINES[name]
        else KernelPredictor.of(kernel, x, task.targets, rate=params.lr)
    )
    return _Line(name, make)


def _asked(task: OrbitTask) -> Tensor:
    """All questions under all turns: ``(order n, 1, side, side)``."""
    return with_channel(task.questions).flatten(0, 1)


def _apart(
    predictor: KernelPredictor, asked: Tensor, time: float, answers: Tensor
) -> dict[str, float]:
    """The trained mean against the predicted one, after the last step, over all questions.

    ``off``: root mean square of the difference, in standard errors of the trained mean (1 were the
    width infinite); ``spread``: root mean square of the trained standard deviation, over that of
    the predicted one.
    """
    predicted = predictor.ensemble(asked, [time], full=False)
    last = answers[-1].double().flatten(1, 2)  # (members, order n, outputs)
    variance = predicted.variance[0][:, None]
    error = (variance / len(last)).mean().sqrt()
    off = (last.mean(dim=0) - predicted.mean[0]).square().mean().sqrt() / error
    spread = (last.var(dim=0).mean() / variance.mean()).sqrt()
    return {"off": float(off), "spread": float(spread)}


def _answers(
    job: Job, params: EnsembleLimit, task: OrbitTask, line: _Line, tell: Tell, parts: list[str]
) -> Tensor:
    """Of all members: ``(steps, members, order, questions, outputs)``."""
    last, done = params.steps[-1], 0
    found = []
    for seeds in in_chunks(member_seeds(params.seed, params.members), params.chunk):

        def advance(step: int, done: int = done, count: int = len(seeds)) -> None:
            tell(done + count * step)

        part = _part(job, params, line, _asked(task), seeds, advance)
        parts.append(part.key)
        found.append(load_file(part.file("answers.safetensors"))["answers"])
        done += len(seeds) * last
        tell(done)
    whole: Tensor = torch.cat(found, dim=1).unflatten(2, task.questions.shape[:2])
    return whole


def _part(
    job: Job,
    params: EnsembleLimit,
    line: _Line,
    asked: Tensor,
    seeds: tuple[int, ...],
    tell: Tell,
) -> Piece:
    network = dense_network(params.depth)

    def fill(folder: Path) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the last bits hang on how sums are parted
        try:
            answers = trained_answers(
                network, params.width, seeds, line.x, line.y, asked, params.steps, params.lr, tell
            )
        finally:
            torch.set_num_threads(threads)
        save_file({"answers": answers.contiguous()}, folder / "answers.safetensors")

    return make_part(
        job,
        "limit-members",
        fill,
        parameters={
            "network": described(network),
            "width": params.width,
            "seeds": list(seeds),
            "steps": list(params.steps),
            "lr": params.lr,
        },
        inputs={
            name: digest_bytes(f"{tuple(x.shape)}".encode() + x.contiguous().numpy().tobytes())
            for name, x in {"x": line.x, "y": line.y, "asked": asked}.items()
        },
        code=[_CODE],
    )


def _broken(worst: Mapping[int, float], law_max: float) -> list[str]:
    return [
        f"limit: the mean of infinitely many members deviates by {value:.4g} after {step} steps; "
        f"expected at most {law_max:g} (limit.law_max)"
        for step, value in worst.items()
        if not value <= law_max
    ]


def _worst(limits: Mapping[tuple[str, int], float], y: Tensor) -> dict[int, float]:
    """By step the largest deviation over all inputs, over the root mean square target."""
    length = float(y.double().square().mean().sqrt())
    found: dict[int, float] = {}
    for (_, step), value in limits.items():
        found[step] = max(found.get(step, 0.0), value / length)
    return found

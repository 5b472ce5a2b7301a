"""The body of ``orbits``: parts of members -> their means on orbits -> figures, table, pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from geocore.config.orbits import CommonOrbits, OrbitsParams
from geocore.config.runtime import RuntimeParams
from geocore.ensembles.seeds import in_chunks, member_seeds
from geocore.measure.orbit import pulled_back
from geocore.pipeline.long_part import make_long_part
from geocore.pipeline.orbit_figures import closed_deviation, measured, sizes
from geocore.pipeline.orbit_results import Line, OrbitResults, Row, document, draw, table
from geocore.pipeline.orbit_task import OrbitTask
from geocore.pipeline.orbit_tasks import task_of
from geocore.pipeline.orbit_training import closed_answers, member_answers
from geocore.pipeline.progress import Bar
from geocore.pipeline.stage import Job, Manifest
from geocore.runs.atomic import replacing, write_json, write_text
from geocore.runs.digest import digest_path
from geocore.runs.slots import Slots
from geocore.runs.store import Piece
from geocore.train.device import resolve

__all__ = ["broken", "measure"]

_LINES = {"augmented": True, "plain": False}
# What decides neither a member nor what it answers.
_APART = ("members", "chunk", "seed", "closed_max")


def measure(job: Job) -> Manifest:
    """Write ``metrics.json``, ``table.csv`` and ``pictures``, all or none.

    Returns their digests, the keys of the parts, and ``broken``: a line for each step at which the
    orbit-closed ensemble misses its law. Raises ``UserError`` for data that are missing or broken,
    and a training that stops.
    """
    params = _params(job)
    task = task_of(params, job.root)
    seeds = member_seeds(params.seed, params.members)
    chunks = in_chunks(seeds, params.chunk)
    last = params.times[-1]
    parts: list[Piece] = []
    lines: dict[str, Line] = {}
    with job.progress.bar("orbits", last * (2 * len(chunks) + 1)) as bar:
        for name, augmented in _LINES.items():
            made = []
            for number, chunk in enumerate(chunks):
                start = last * len(parts)
                words = f"{name}, members {number * params.chunk + 1} to "
                words += f"{number * params.chunk + len(chunk)} of {params.members}"
                made.append(_members_part(job, task, chunk, augmented, _telling(bar, start, words)))
                parts.append(made[-1])
            # One at a time, and let go: answers are the largest things here.
            lines[name] = _line(task, params, torch.cat([_loaded(part) for part in made], dim=1))
        tell = _telling(bar, last * len(parts), "orbit-closed")
        parts.append(_closed_part(job, task, seeds[0], tell))
    closed = dict(zip(params.times, _closed(task, _loaded(parts[-1])), strict=True))
    results = OrbitResults(task, params.members, lines, closed)
    with ExitStack() as all_or_none:
        metrics, rows, pictures = (
            all_or_none.enter_context(replacing(job.output(name)))
            for name in ("metrics", "table", "pictures")
        )
        write_json(metrics, document(results))
        write_text(rows, table(results))
        pictures.mkdir()
        draw(pictures, results)
    outputs = [job.output(name) for name in job.stage.gives]
    return {
        "files": {path.name: digest_path(path) for path in outputs},
        "parts": [part.key for part in parts],
        "broken": broken(closed, params.closed_max),
    }


def broken(closed: Mapping[int, float], closed_max: float) -> list[str]:
    """A line for each step at which the deviation is above the bound, or no number."""
    return [
        f"orbits: the orbit-closed ensemble deviates by {value:.4g} after {step} steps; "
        f"expected at most {closed_max:g} (orbits.closed_max)"
        for step, value in closed.items()
        if not value <= closed_max
    ]


def _params(job: Job) -> CommonOrbits:
    params = job.section(OrbitsParams)
    assert isinstance(params, CommonOrbits)  # `of` gives the class of the task
    return params


def _members_part(
    job: Job,
    task: OrbitTask,
    seeds: tuple[int, ...],
    augmented: bool,
    tell: Callable[[int], None],
) -> Piece:
    """The members with those seeds, whatever ensemble they are in."""
    params, runtime = _params(job), job.section(RuntimeParams)

    def answers(slots: Slots) -> Tensor:
        device, every = resolve(runtime.device), runtime.checkpoint_every
        return member_answers(
            task, params, seeds, augmented, device, tell, slots=slots, checkpoint_every=every
        )

    about = {"seeds": list(seeds), "augmented": augmented}
    found = _part(job, "orbits-members", task, answers, runtime.device, about)
    tell(params.times[-1])
    return found


def _closed_part(job: Job, task: OrbitTask, seed: int, tell: Callable[[int], None]) -> Piece:
    params, every = _params(job), job.section(RuntimeParams).checkpoint_every

    def answers(slots: Slots) -> Tensor:
        return closed_answers(task, params, seed, tell, slots=slots, checkpoint_every=every)

    found = _part(job, "orbits-closed", task, answers, "cpu", {"seeds": [seed]})
    tell(params.times[-1])
    return found


def _part(
    job: Job,
    verb: str,
    task: OrbitTask,
    answers: Callable[[Slots], Tensor],
    device: str,
    about: Mapping[str, Any],
) -> Piece:
    """The data are an input by their digest, so that code that only makes data trains nothing."""
    told = {k: v for k, v in _params(job).model_dump(mode="json").items() if k not in _APART}

    def fill(folder: Path, slots: Slots) -> None:
        save_file({"answers": answers(slots)}, folder / "answers.safetensors")

    return make_long_part(
        job,
        verb,
        fill,
        parameters={"orbits": told, **about},
        inputs={"task": task.digest},
        code=["geocore.pipeline.orbit_training"],
        device=device,
    )


def _loaded(part: Piece) -> Tensor:
    return load_file(part.file("answers.safetensors"))["answers"]


def _line(task: OrbitTask, params: CommonOrbits, answers: Tensor) -> Line:
    """All figures of the members' ``answers (times, members, elements, questions, outputs)``."""
    rows, scores = [], {}
    for step, found in zip(params.times, answers, strict=True):
        for kind in task.asked:
            for part in task.places:
                asked = _pulled_back(task, found[..., task.rows(kind), :], part)
                for size in sizes(params.members):
                    figures = measured(asked, size, task.classifies)
                    rows.append(Row(step, kind, part, figures))
        scores[step] = _scores(task, found.double().mean(0))
    return Line(rows, scores)


def _closed(task: OrbitTask, answers: Tensor) -> list[float]:
    return [closed_deviation(_pulled_back(task, found, task.exact)) for found in answers]


def _pulled_back(task: OrbitTask, answers: Tensor, part: str) -> Tensor:
    """``rho(g)^-1 f(g x)`` for the elements of a part: ``(members, order, n, outputs)``."""
    chosen = answers[:, task.places[part]]
    if task.matrices is None:
        return chosen
    matrices = task.matrices[task.places[part]]
    return torch.stack([pulled_back(one, matrices) for one in chosen.double()])


def _scores(task: OrbitTask, mean: Tensor) -> dict[str, float]:
    """How well the mean of all answers the test: as it is, and over the trained orbit.

    ``mean (elements, questions, outputs)``. Share of right classes, or root mean square error.
    """
    places = task.places[task.trained]
    said = _pulled_back(task, mean[None, :, task.rows("test")], task.trained)[0]
    if task.classifies:
        right = (said.argmax(-1) == task.truth).double()
        return {"accuracy": float(right[0].mean()), "accuracy_on_orbits": float(right.mean())}
    off = (said - task.truth).square().mean(dim=(1, 2))
    assert len(off) == len(places)
    return {"rmse": float(off[0].sqrt()), "rmse_on_orbits": float(off.mean().sqrt())}


def _telling(bar: Bar, start: int, words: str) -> Callable[[int], None]:
    return lambda step: bar.start_at(start + step, words)

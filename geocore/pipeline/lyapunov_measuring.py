"""The body of ``lyapunov``: parts of networks and fields -> figures, table, pictures, bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from torch import Tensor

from geocore.config.lyapunov import CircleLyapunov, ImagesLyapunov, LyapunovParams
from geocore.ensembles.engine import Samples
from geocore.ensembles.seeds import in_chunks, member_seeds
from geocore.explain.circle import circle_samples
from geocore.pipeline.lyapunov_circle import figures_of, looked_at
from geocore.pipeline.lyapunov_circle_results import CircleResults
from geocore.pipeline.lyapunov_image_results import ImageResults
from geocore.pipeline.lyapunov_images import ImageTask, answers, image_task, plane, section
from geocore.pipeline.lyapunov_linear import linear_law, measured_linear
from geocore.pipeline.lyapunov_parts import measured, trained
from geocore.pipeline.lyapunov_training import Recipe, weights_of
from geocore.pipeline.progress import Bar
from geocore.pipeline.stage import Job, Manifest
from geocore.runs.atomic import replacing, write_json, write_text
from geocore.runs.digest import digest_path
from geocore.runs.store import Piece

__all__ = ["measure"]


def measure(job: Job) -> Manifest:
    """Write ``metrics.json``, ``table.csv`` and ``pictures``, all or none.

    Returns their digests, the keys of the parts, and ``broken``: a line for each figure out of its
    bound. Raises ``UserError`` for data that are missing or broken, and a training that stops.
    """
    params = job.section(LyapunovParams)
    parts: list[Piece] = []
    results: CircleResults | ImageResults
    if isinstance(params, CircleLyapunov):
        results = _circle(job, params, parts)
    elif isinstance(params, ImagesLyapunov):
        results = _images(job, params, parts)
    else:
        raise TypeError(f"params is {type(params).__name__}; expected those of a task")
    with ExitStack() as all_or_none:
        metrics, rows, pictures = (
            all_or_none.enter_context(replacing(job.output(name)))
            for name in ("metrics", "table", "pictures")
        )
        write_json(metrics, results.document())
        write_text(rows, results.table())
        pictures.mkdir()
        results.draw(pictures)
    outputs = [job.output(name) for name in job.stage.gives]
    return {
        "files": {path.name: digest_path(path) for path in outputs},
        "parts": [part.key for part in parts],
        "broken": results.broken(),
    }


def _circle(job: Job, params: CircleLyapunov, parts: list[Piece]) -> CircleResults:
    samples = Samples(*circle_samples(params.train, params.seed))
    kinds = [(depth, width) for width in params.widths for depth in params.depths]
    # The bar counts by the weights that a step moves, about what a network takes.
    costs = [depth * width * width for depth, width in kinds]
    results = CircleResults(params)
    with job.progress.bar("lyapunov", sum(costs)) as bar:
        for place, (depth, width) in enumerate(kinds):
            tell = _telling(bar, params, costs, place, f"{depth} layers of {width}")
            kept, made = _circle_kind(job, params, samples, (depth, width), tell)
            results.add(depth, width, figures_of(kept))
            parts += made
    for width in params.linear_widths:
        found, piece = _linear(job, params, width)
        results.linear[width] = linear_law(width, found)
        parts.append(piece)
    return results


def _circle_kind(
    job: Job,
    params: CircleLyapunov,
    samples: Samples,
    kind: tuple[int, int],
    tell: Callable[[int], None],
) -> tuple[dict[str, Tensor], list[Piece]]:
    depth, width = kind
    recipe = Recipe(
        widths=(2, *[width] * depth, 1),
        learns="numbers",
        epochs=params.epochs,
        batch_size=params.batch_size,
        lr=params.lr,
        seeds=member_seeds(params.seed, params.members),
    )
    piece = trained(job, recipe, samples, tell)
    tell(_steps(params))
    kept, figures = measured(
        job,
        "lyapunov-circle",
        lambda: looked_at(recipe.network(0), weights_of(piece.folder), params.size),
        parameters={"size": params.size},
        inputs={"networks": piece.key},
        code="geocore.pipeline.lyapunov_circle",
    )
    return kept, [piece, figures]


def _linear(job: Job, params: CircleLyapunov, width: int) -> tuple[dict[str, Tensor], Piece]:
    depth, networks, seed = params.linear_depth, params.linear_networks, params.seed
    return measured(
        job,
        "lyapunov-linear",
        lambda: measured_linear(width, depth, networks, seed),
        parameters={"width": width, "depth": depth, "networks": networks, "seed": seed},
        inputs={},
        code="geocore.pipeline.lyapunov_linear",
    )


def _images(job: Job, params: ImagesLyapunov, parts: list[Piece]) -> ImageResults:
    task = image_task(params, job.root)
    seeds = member_seeds(params.seed, params.members * params.ensembles)
    results = ImageResults(params, task)
    costs = [_steps(params)] * params.ensembles
    with job.progress.bar("lyapunov", sum(costs)) as bar:
        for place, chunk in enumerate(in_chunks(seeds, params.members)):
            tell = _telling(bar, params, costs, place, f"ensemble {place + 1} of {len(costs)}")
            parts += _ensemble(job, params, task, chunk, tell, results)
    return results


def _ensemble(
    job: Job,
    params: ImagesLyapunov,
    task: ImageTask,
    seeds: tuple[int, ...],
    tell: Callable[[int], None],
    results: ImageResults,
) -> list[Piece]:
    """Train and ask the members of those seeds, and add what they say to the results."""
    recipe = Recipe(
        widths=(
            task.inputs.shape[1], *[params.width] * params.before, 2,
            *[params.width] * params.after, task.classes,
        ),
        learns="classes",
        epochs=params.epochs,
        batch_size=params.batch_size,
        lr=params.lr,
        seeds=seeds,
    )  # fmt: skip
    piece = trained(job, recipe, Samples(task.inputs, task.targets), tell)
    tell(_steps(params))
    network, weights = recipe.network(0), weights_of(piece.folder)
    inputs = {"networks": piece.key, "images": task.digest}
    parts = [piece]

    def asked(name: str, work: Callable[[], dict[str, Tensor]], **about: int) -> dict[str, Tensor]:
        found, made = measured(
            job, f"lyapunov-{name}", work,
            parameters=about, inputs=inputs, code="geocore.pipeline.lyapunov_images",
        )  # fmt: skip
        parts.append(made)
        return found

    before, size = params.before, params.size
    said = asked("answers", lambda: answers(task, network, weights, before), before=before)
    flat = asked("plane", lambda: plane(network, weights, before, size), before=before, size=size)
    if results.section is None:  # of the first ensemble alone
        results.section = asked("section", lambda: section(task, network, weights, size), size=size)
    results.add(said, flat)
    return parts


def _steps(params: CircleLyapunov | ImagesLyapunov) -> int:
    return params.epochs * math.ceil(params.train / params.batch_size)


def _telling(
    bar: Bar,
    params: CircleLyapunov | ImagesLyapunov,
    costs: Sequence[int],
    place: int,
    words: str,
) -> Callable[[int], None]:
    """What is called with a step of the training at that place, for the bar."""
    start, steps = sum(costs[:place]), _steps(params)
    return lambda step: bar.start_at(start + costs[place] * step // steps, words)

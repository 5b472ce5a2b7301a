"""The body of ``approximate``: chains, ensembles, how far they are apart, and all that is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from geocore.config.approximate import ApproximateParams, EnsemblesParams, ReferencedParams
from geocore.config.runtime import RuntimeParams
from geocore.ensembles.ensemble_state import EnsembleState
from geocore.ensembles.seeds import member_seeds
from geocore.pipeline.approximating_members import Recipe, fit_members, predict_members
from geocore.pipeline.approximating_mixtures import Mixed
from geocore.pipeline.approximating_results import Told, name_of, write_results
from geocore.pipeline.approximating_tasks import Task, task_of, variants
from geocore.pipeline.long_part import make_long_part
from geocore.pipeline.piece import make_part
from geocore.pipeline.progress import Bar
from geocore.pipeline.stage import Job, Manifest
from geocore.runs.digest import digest_json, digest_path
from geocore.runs.slots import Slots
from geocore.runs.store import Piece
from geocore.train.device import resolve

__all__ = ["approximate"]

_CODE = ("geocore.pipeline.approximating_members",)
_TOLD_EVERY = 20  # steps


def approximate(job: Job, folder: Path) -> Manifest:
    """Fill ``folder`` with ``metrics.json``, ``table.csv`` and ``pictures``; digests and parts.

    Each chain is a part, and of each ensemble its members and their predictions. Raises
    ``UserError`` where data or a library is missing, and for a training that stops.
    """
    params = job.section(ApproximateParams)
    assert isinstance(params, EnsemblesParams)  # any task's
    task, kinds = task_of(params, job.root), variants(params)
    referenced = isinstance(params, ReferencedParams) and params.reference == "hmc"
    chains = params.chains if isinstance(params, ReferencedParams) and referenced else 0
    parts: list[Piece] = []
    reference = None
    ensembles: dict[str, list[dict[str, Mixed]]] = {}
    with job.progress.bar("approximate", chains + len(kinds) * params.repeats) as bar:
        if isinstance(params, ReferencedParams) and chains:
            # Only where there are chains: it imports what draws them.
            from geocore.pipeline.approximating_reference import draw_chains, reference_of

            drawn = draw_chains(job, task, params, bar)
            reference = reference_of(drawn, task, params)
            parts += drawn
        for family, p in kinds:
            label = name_of(family, p)
            for repeat, seed in enumerate(member_seeds(params.seed, params.repeats)):
                recipe = _recipe(task, params, family, p, seed)
                words = f"{label}, {repeat + 1} of {params.repeats}"
                both = _ensemble(job, task, recipe, bar, words)
                parts += both
                bar.advance(note=words)
                told = load_file(both[1].file("predictions.safetensors"))
                mixed = {name: Mixed.of(told, name) for name in task.asked}
                ensembles.setdefault(label, []).append(mixed)
    found = Told(
        task=task,
        kinds={name_of(*kind): kind for kind in kinds},
        ensembles=ensembles,
        chains=None if reference is None else reference.of,
        record=None if reference is None else reference.record,
    )
    write_results(folder, found)
    digests = {path.name: digest_path(path) for path in sorted(folder.iterdir())}
    return {"files": digests, "parts": [part.key for part in parts]}


def _recipe(task: Task, params: EnsemblesParams, family: Any, p: float, seed: int) -> Recipe:
    return Recipe(
        architecture=task.architecture,
        family=family,
        p=p,
        prior=params.prior,
        prior_scale=params.prior_scale,
        epochs=params.epochs,
        batch_size=min(params.batch_size, len(task.samples)),
        lr=params.lr,
        schedule=params.schedule,
        flips=task.flips,
        seeds=member_seeds(seed, params.members),
    )


def _ensemble(job: Job, task: Task, recipe: Recipe, bar: Bar, words: str) -> tuple[Piece, Piece]:
    """The members' part and that of their predictions."""
    runtime = job.section(RuntimeParams)
    device = resolve(runtime.device)
    samples = {"samples": task.digests["samples"]}
    total = recipe.epochs * -(-len(task.samples) // recipe.batch_size)

    def tell(state: EnsembleState) -> None:
        if state.step % _TOLD_EVERY == 0:
            bar.advance(0, f"{words}: step {state.step} of {total}")

    def fit(folder: Path, slots: Slots) -> dict[str, float]:
        return fit_members(
            folder,
            recipe,
            task.samples,
            device,
            slots=slots,
            checkpoint_every=runtime.checkpoint_every,
            on_step=tell,
        )

    members = make_long_part(
        job,
        "approximate-members",
        fit,
        parameters=recipe.about(),
        inputs=samples,
        code=_CODE,
        device=runtime.device,
    )

    def predict(folder: Path) -> None:
        found = predict_members(members.folder, recipe, task.asked, device)
        save_file(found, folder / "predictions.safetensors")

    predictions = make_part(
        job,
        "approximate-predictions",
        predict,
        parameters=recipe.about(),
        inputs={
            "members": digest_json(members.manifest["files"]),
            "asked": task.digests["asked"],
        },
        code=_CODE,
        device=runtime.device,
    )
    return members, predictions

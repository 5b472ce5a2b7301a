"""Opening a stage: its parameters, its inputs' digests, its key; and making it once."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterable
from pathlib import Path

from geocore.config.load import leaves, read_sections
from geocore.config.runtime import RuntimeParams
from geocore.config.section import Section
from geocore.data.table import Table
from geocore.errors import UserError, refused_by_system
from geocore.pipeline.code import deciding_code
from geocore.pipeline.dvcfile import read_dvc
from geocore.pipeline.inputs import located
from geocore.pipeline.progress import Progress
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.runs.digest import digest_file, digest_json, digest_path
from geocore.runs.environment import library_versions
from geocore.runs.home import geocore_home, project_root, store_folder, work_folder
from geocore.runs.locks import hold
from geocore.runs.store import Store, piece_key

__all__ = [
    "input_digest",
    "make",
    "open_job",
    "output_digests",
    "stage_of",
    "top_level_keys",
    "whole",
]


def stage_of(name: str, known: Iterable[str]) -> Stage:
    """The declaration of a stage: ``geocore.pipeline.NAME.STAGE``."""
    names = list(known)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(names)}"
        raise UserError(f"stage {name!r} is unknown; {hint}")
    try:
        stage = importlib.import_module(f"geocore.pipeline.{name}").STAGE
    except (ModuleNotFoundError, AttributeError) as error:
        raise UserError(
            f"stage {name!r}: {error}; expected geocore/pipeline/{name}.py with a STAGE"
        ) from None
    if not isinstance(stage, Stage):
        raise UserError(f"geocore/pipeline/{name}.py: STAGE is {stage!r}; expected a Stage")
    return stage


def top_level_keys(folder: Path) -> list[str]:
    """Sections that ``params.yaml`` may have: those that some stage of ``dvc.yaml`` reads."""
    read = {leaf.split(".", 1)[0] for s in read_dvc(folder).values() for leaf in s.params}
    return sorted({*read, RuntimeParams.title})


def open_job(stage: Stage, folder: Path) -> Job:
    """Read and check everything that the stage is handed, and derive its key.

    ``folder`` holds the ``params.yaml`` that is meant: the project's root or a study's. Raises
    ``UserError`` for a parameter or an input that is not as it must be.
    """
    root = project_root(folder)
    study = folder.resolve().relative_to(root.resolve()).as_posix().removeprefix(".")
    kinds: list[type[Section]] = [*stage.sections, *stage.written_with]
    if RuntimeParams not in kinds:  # how to run is everybody's, tracked or not
        kinds.append(RuntimeParams)
    sections = read_sections(
        folder / "params.yaml",
        kinds,
        top_level_keys(folder),
        where=(Path(study) / "params.yaml").as_posix(),
    )
    places = located(stage.takes, study, _listed(stage, folder), sections)
    inputs = {
        name: _input_digest(root, name, stage.takes[name], paths) for name, paths in places.items()
    }
    code = deciding_code(stage.deciding(sections), root)
    runtime = sections[RuntimeParams.title]
    assert isinstance(runtime, RuntimeParams)
    values = leaves({name: kind.model_dump(mode="json") for name, kind in sections.items()})
    values = {name: values[name] for name in stage.params(sections)}
    late = {kind.title for kind in stage.written_with}
    key = piece_key(
        stage.name,
        parameters={leaf: v for leaf, v in values.items() if leaf.split(".")[0] not in late},
        inputs=inputs,
        code=code,
        libraries={**library_versions(*stage.libraries), **stage.tools(sections)},
        device=runtime.device if RuntimeParams in stage.sections else "cpu",
    )
    return Job(
        stage=stage,
        root=root,
        sections=sections,
        values=values,
        inputs=inputs,
        store=Store(store_folder(root)),
        work=work_folder(root) / key,
        key=key,
        code=code,
        progress=Progress(runtime.progress),
        study=study,
        places=places,
    )


def _listed(stage: Stage, folder: Path) -> tuple[str, ...]:
    """The stage's deps in ``dvc.yaml``: an input that it does not list DVC would not see change."""
    written = read_dvc(folder).get(stage.name)
    return () if written is None else written.deps


def _input_digest(root: Path, name: str, port: Port, paths: tuple[str, ...]) -> str:
    """Of one input, or of those of ``each`` study below, where the names count as well."""
    found = {path: input_digest(root, path, name, port) for path in paths}
    return digest_json(found) if port.each else found[paths[0]]


def input_digest(root: Path, place: str, name: str, port: Port) -> str:
    """A digest of what lies at an input's path; a table is verified and named by ``table.json``.

    ``table.json`` holds every part's digest. Raises ``UserError`` for an input that is missing,
    truncated or altered.
    """
    path = root / place
    if not path.exists():
        raise UserError(
            f"{place}: missing; expected the {port.kind} {name!r}: run dvc repro to make it"
        )
    if port.kind != "table":
        return digest_path(path)
    # Verified here as well: a stage that finds its piece never opens its inputs.
    Table.open(path, verify=True)
    return digest_file(path / "table.json")


def output_digests(job: Job) -> dict[str, str]:
    """Digests of the outputs as they lie there: what the run gave."""
    digests = {}
    for name, port in job.stage.outputs(job.sections).items():
        path = job.output(name)
        if port.kind == "table":
            path = path / "table.json"
        digests[port.path] = digest_path(path)
    return digests


def whole(job: Job) -> bool:
    """Whether what the job would make is already there, undamaged."""
    piece = job.store.find(job.key, on_damage=_warn)
    if piece is None:
        return False
    return job.stage.whole is None or job.stage.whole(job, piece.values)


def make(job: Job) -> Manifest:
    """Make the job's piece, once: an equal job in another process waits and then finds it.

    A stage that writes its outputs while it streams (``stage.whole`` is set) leaves a piece that
    holds only the manifest. Raises ``UserError`` where the system refuses memory.
    """
    lock = geocore_home(job.root) / "locks" / f"{job.stage.name}-{job.key}.lock"
    with hold(lock, job.stage.name, on_wait=job.progress.say, what=f"stage {job.stage.name}"):
        try:
            return _made(job)
        except (MemoryError, RuntimeError) as error:
            told = refused_by_system(error, f"stage {job.stage.name}")
            if told is None:
                raise
            raise told from error


def _made(job: Job) -> Manifest:
    if job.stage.whole is None:
        return job.stage.make(job)
    piece = job.store.find(job.key, on_damage=_warn)
    if piece is not None and job.stage.whole(job, piece.values):
        job.note(pieces={job.key: "found"})
        return piece.values
    manifest = job.stage.make(job)
    job.note(pieces={job.key: "made"})
    return job.store.replace(job.key, lambda _: manifest, verb=job.stage.name).values


def _warn(line: str) -> None:
    sys.stderr.write(f"warning: {line}\n")

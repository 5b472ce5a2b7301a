"""Type-checking the whole DAG before anything is computed.

``dvc.yaml`` says who runs after whom; each stage declares what it takes, gives, reads of
``params.yaml`` and imports. The two must agree, and the geometry that a stage gives must be one
that the next takes: a ring-ordered map into a nested model is found here, in a second.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from geocore.errors import UserError
from geocore.pipeline.dvcfile import DvcStage
from geocore.pipeline.flowing import flow_faults
from geocore.pipeline.inputs import candidates
from geocore.pipeline.pipelines import Pipeline, makers, read_pipelines
from geocore.pipeline.prefectfile import deployment_faults
from geocore.pipeline.stage import Port, Stage
from geocore.runs.closure import import_closure

__all__ = ["faults"]

_CODE = ("geocore/", "flows/", "tasks/")
_LAZY = {"attach", "__getattr__", "__dir__", "__all__", "__name__", "__version__", "_exports"}


def faults(root: Path) -> list[str]:
    """Every disagreement, in the root's pipeline and each study's; empty when the wiring holds."""
    pipelines, found = read_pipelines(root)
    made = makers(pipelines)
    for pipeline in pipelines.values():
        found += _pipeline_faults(root, pipeline)
        found += _collecting_faults(pipeline, pipelines)
        found += [
            f"{pipeline.study}: {line}" if pipeline.study else line
            for line in flow_faults(pipeline, made)
        ]
    return found + list(deployment_faults(root))


def _pipeline_faults(root: Path, pipeline: Pipeline) -> Iterator[str]:
    """Faults of one ``dvc.yaml`` by itself."""
    for name, stage in pipeline.declared.items():
        yield from _stage_faults(root, pipeline, pipeline.written[name], stage)
    for name, stage in pipeline.declared.items():
        for port in stage.takes.values():
            given = f"{pipeline.below}{port.path}"
            maker = pipeline.outs.get(given) if port.optional and not port.choice else None
            if maker and not _listed(port, pipeline, pipeline.written[name]):
                yield (
                    f"{pipeline.below}dvc.yaml: stage {name}: deps lack {given}; expected what "
                    f"{maker} gives, since it is a stage here"
                )


def _listed(port: Port, pipeline: Pipeline, written: DvcStage) -> bool:
    return any(path in written.deps for path in candidates(port, pipeline.study))


def _stage_faults(root: Path, pipeline: Pipeline, written: DvcStage, stage: Stage) -> Iterator[str]:
    study = pipeline.below
    where = f"{study}dvc.yaml: stage {stage.name}"
    command = f"python -m flows.{stage.name} {pipeline.study}".rstrip()
    if written.cmd != command:
        yield f"{where}: cmd is {written.cmd!r}; expected {command!r}"
    wdir = "/".join([".."] * len(Path(study).parts)) or "."
    if written.wdir != wdir:
        yield f"{where}: wdir is {written.wdir!r}; expected {wdir!r}, the project's root"
    if pipeline.sections is not None:  # else what is wrong with them is told already
        params = stage.params(pipeline.sections)
        yield from _differences(f"{where}: params", written.params, params)
    files = [f"{study}params.yaml"] if (*stage.sections, *stage.written_with) else []
    yield from _differences(f"{where}: params files", written.params_files, files)
    outs = [
        path
        for port in stage.outputs(pipeline.sections).values()
        if (path := f"{study}{port.path}") in written.outs
        or port.needed is None
        or pipeline.sections is not None
    ]
    yield from _differences(f"{where}: outs", written.outs, outs)
    places = pipeline.places(stage.name)
    expected = {path for paths in places.values() for path in paths}
    data = [dep for dep in written.deps if not dep.startswith(_CODE)]
    own = {dep for dep in data if dep.startswith("data/own")}
    yield from _differences(
        f"{where}: deps", [dep for dep in data if dep not in own], sorted(expected)
    )
    try:
        closure = import_closure([f"flows.{stage.name}"], root)
    except UserError as error:
        yield from error.lines
        return
    files = sorted(
        path.relative_to(root).as_posix() for path in closure.values() if not _hands_on(path)
    )
    for path in files:
        if written.covering(path) is None:
            yield f"{where}: deps lack {path}; expected every file that its code imports"
    for dep in written.deps:
        if dep.startswith(_CODE) and not any(written.covering(path) == dep for path in files):
            yield f"{where}: deps have {dep}; expected only code that it imports"


def _collecting_faults(pipeline: Pipeline, pipelines: Mapping[str, Pipeline]) -> Iterator[str]:
    """A stage that takes something of each study below takes it of each that gives it."""
    for name, stage in pipeline.declared.items():
        where = f"{pipeline.below}dvc.yaml: stage {name}"
        for title, port in stage.takes.items():
            if not port.each or port.optional:
                continue
            listed = pipeline.places(name)[title]
            for other in pipelines.values():
                given = f"{other.below}{port.path}"
                is_below = other is not pipeline and given.startswith(pipeline.below)
                if is_below and given in other.outs and given not in listed:
                    yield f"{where}: deps lack {given}; expected that of each study below"
            if not listed:
                yield f"{where}: deps name no {port.path} of a study below; expected at least one"


def _hands_on(path: Path) -> bool:
    """Whether a file only hands on names lazily: an export more must not rerun every stage."""
    if path.name != "__init__.py":
        return False
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module == "geocore._lazy":
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        names = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        if not (isinstance(node, ast.Assign) and names <= _LAZY):
            return False
    return True


def _differences(where: str, written: object, expected: object) -> Iterator[str]:
    have, want = list(written), list(expected)  # type: ignore[call-overload]
    for entry in want:
        if entry not in have:
            yield f"{where} lack {entry}; expected it as geocore.pipeline declares"
    for entry in have:
        if entry not in want:
            yield f"{where} have {entry}; expected only what geocore.pipeline declares"

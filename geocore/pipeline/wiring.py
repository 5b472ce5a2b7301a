"""Type-checking the whole DAG before anything is computed.

``dvc.yaml`` says who runs after whom; each stage declares what it takes, gives, reads of
``params.yaml`` and imports. The two must agree, and the geometry that a stage gives must be one
that the next takes: a ring-ordered map into a nested model is found here, in a second.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from geocore.config.load import read_sections
from geocore.config.section import Section
from geocore.errors import UserError
from geocore.pipeline.dvcfile import DvcStage, read_dvc
from geocore.pipeline.inputs import candidates, located, study_files
from geocore.pipeline.prefectfile import deployment_faults
from geocore.pipeline.run import stage_of, top_level_keys
from geocore.pipeline.stage import Port, Stage
from geocore.runs.closure import import_closure

__all__ = ["faults"]

_CODE = ("geocore/", "flows/", "tasks/")
_LAZY = {"attach", "__getattr__", "__dir__", "__all__", "__name__", "__version__", "_exports"}


@dataclass(frozen=True)
class _Pipeline:
    """One ``dvc.yaml`` beside what its stages declare; ``study`` is its folder from the root.

    ``sections`` are None where its parameters cannot be read.
    """

    study: str
    written: dict[str, DvcStage]
    declared: dict[str, Stage]
    sections: dict[str, Section] | None

    @property
    def below(self) -> str:
        """What its paths begin with."""
        return f"{self.study}/" if self.study else ""

    @property
    def outs(self) -> dict[str, str]:
        """Path from the root -> the stage here that gives it."""
        return {
            f"{self.below}{port.path}": name
            for name, stage in self.declared.items()
            for port in stage.gives.values()
        }


def faults(root: Path) -> list[str]:
    """Every disagreement, in the root's pipeline and each study's; empty when the wiring holds."""
    found: list[str] = []
    pipelines = {"": _read(root, "", found)}
    for file in study_files(root):
        study = file.parent.relative_to(root).as_posix()
        try:
            pipelines[study] = _read(root, study, found)
        except UserError as error:
            found += [f"{study}: {line}" for line in error.lines]
    for pipeline in pipelines.values():
        found += _pipeline_faults(root, pipeline, pipelines)
    return found + list(deployment_faults(root))


def _read(root: Path, study: str, found: list[str]) -> _Pipeline:
    """One pipeline; what is wrong with its stages' names and its parameters is put into found."""
    written = read_dvc(root / study)
    declared: dict[str, Stage] = {}
    for name in written:
        try:
            declared[name] = stage_of(name, written)
        except UserError as error:
            found += error.lines
    sections: dict[str, Section] | None = None
    try:
        stages = declared.values()
        kinds = {k.title: k for stage in stages for k in (*stage.sections, *stage.written_with)}
        path, known = root / study / "params.yaml", top_level_keys(root / study)
        where = (Path(study) / "params.yaml").as_posix()
        sections = read_sections(path, kinds.values(), known, where=where)
    except UserError as error:
        found += error.lines
    return _Pipeline(study, written, declared, sections)


def _pipeline_faults(
    root: Path, pipeline: _Pipeline, pipelines: dict[str, _Pipeline]
) -> Iterator[str]:
    """Faults of one ``dvc.yaml``, beside those that it may take inputs from."""
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
    for line in _type_faults(pipeline, pipelines):
        yield f"{pipeline.study}: {line}" if pipeline.study else line


def _listed(port: Port, pipeline: _Pipeline, written: DvcStage) -> bool:
    return any(path in written.deps for path in candidates(port, pipeline.study))


def _stage_faults(
    root: Path, pipeline: _Pipeline, written: DvcStage, stage: Stage
) -> Iterator[str]:
    study = pipeline.below
    where = f"{study}dvc.yaml: stage {stage.name}"
    command = f"python -m flows.{stage.name} {pipeline.study}".rstrip()
    if written.cmd != command:
        yield f"{where}: cmd is {written.cmd!r}; expected {command!r}"
    wdir = "/".join([".."] * len(Path(study).parts)) or "."
    if written.wdir != wdir:
        yield f"{where}: wdir is {written.wdir!r}; expected {wdir!r}, the project's root"
    params = stage.params()
    yield from _differences(f"{where}: params", written.params, params)
    files = [f"{study}params.yaml"] if params else []
    yield from _differences(f"{where}: params files", written.params_files, files)
    outs = [f"{study}{port.path}" for port in stage.gives.values()]
    yield from _differences(f"{where}: outs", written.outs, outs)
    places = located(stage.takes, pipeline.study, written.deps, pipeline.sections)
    expected = {path for paths in places.values() for path in paths}
    data = [dep for dep in written.deps if not dep.startswith(_CODE)]
    own = {dep for dep in data if dep.startswith("data/own")}
    yield from _differences(
        f"{where}: deps", [dep for dep in data if dep not in own], sorted(expected)
    )
    for name, port in stage.takes.items():
        if port.each and not port.optional and not places[name]:
            yield (
                f"{where}: deps name no {port.path} of a study below {pipeline.study or 'the root'}"
                "; expected at least one"
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


def _type_faults(pipeline: _Pipeline, pipelines: dict[str, _Pipeline]) -> Iterator[str]:
    """What a stage takes beside what the maker gives, here or in another pipeline."""
    if pipeline.sections is None:
        return
    makers = {
        path: (name, other) for other in pipelines.values() for path, name in other.outs.items()
    }
    for name, stage in pipeline.declared.items():
        deps = pipeline.written[name].deps
        places = located(stage.takes, pipeline.study, deps, pipeline.sections)
        for title, paths in places.items():
            port = stage.takes[title]
            for path in paths:
                if path not in makers:
                    if not port.optional:
                        told = path.removeprefix(pipeline.below)
                        yield f"stage {name}: takes {told}, which no stage gives"
                    continue
                maker, other = makers[path]
                given = _port(other, maker, path)
                where = "" if other is pipeline else f" of {other.study or 'the root'}"
                joint = f"{maker}{where} -> {name} ({title})"
                if given.kind != port.kind:
                    yield f"{joint}: is {given.kind}; expected {port.kind}"
                if given.type is None or port.type is None or other.sections is None:
                    continue
                mine, wanted = given.type(other.sections), port.type(pipeline.sections)
                yield from (f"{joint}: {fault}" for fault in mine.mismatches(wanted))


def _port(pipeline: _Pipeline, stage: str, path: str) -> Port:
    gives = pipeline.declared[stage].gives.values()
    return next(port for port in gives if f"{pipeline.below}{port.path}" == path)

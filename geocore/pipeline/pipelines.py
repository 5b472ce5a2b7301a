"""The root's pipeline and each study's, as ``dvc.yaml`` writes them and the stages declare them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from geocore.config.load import read_sections
from geocore.config.section import Section
from geocore.errors import UserError
from geocore.pipeline.dvcfile import DvcStage, read_dvc
from geocore.pipeline.inputs import located, study_files
from geocore.pipeline.run import stage_of, top_level_keys
from geocore.pipeline.stage import Port, Stage

__all__ = ["Made", "Pipeline", "makers", "read_pipelines"]


@dataclass(frozen=True)
class Pipeline:
    """One ``dvc.yaml`` beside what its stages declare; ``study`` is its folder from the root.

    ``sections`` are None where its parameters cannot be read.
    """

    study: str
    written: Mapping[str, DvcStage]
    declared: Mapping[str, Stage]
    sections: Mapping[str, Section] | None

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
            for port in stage.outputs(self.sections).values()
        }

    def places(self, stage: str) -> dict[str, tuple[str, ...]]:
        """Where the inputs of a stage lie, from the root."""
        takes, deps = self.declared[stage].takes, self.written[stage].deps
        return located(takes, self.study, deps, self.sections)


@dataclass(frozen=True)
class Made:
    """What makes an output: the stage ``name`` of ``pipeline``, by its port."""

    pipeline: Pipeline
    name: str
    port: Port


def makers(pipelines: Mapping[str, Pipeline]) -> dict[str, Made]:
    """Path from the root -> what makes it, over all pipelines."""
    return {
        f"{pipeline.below}{port.path}": Made(pipeline, name, port)
        for pipeline in pipelines.values()
        for name, stage in pipeline.declared.items()
        for port in stage.outputs(pipeline.sections).values()
    }


def read_pipelines(root: Path) -> tuple[dict[str, Pipeline], list[str]]:
    """All pipelines by their study, and a line for each that cannot be read as it must be."""
    found: list[str] = []
    pipelines = {"": _read(root, "", found)}
    for file in study_files(root):
        study = file.parent.relative_to(root).as_posix()
        try:
            pipelines[study] = _read(root, study, found)
        except UserError as error:
            found += [f"{study}: {line}" for line in error.lines]
    return pipelines, found


def _read(root: Path, study: str, found: list[str]) -> Pipeline:
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
    return Pipeline(study, written, declared, sections)

"""Type-checking the whole DAG before anything is computed.

``dvc.yaml`` says who runs after whom; each stage declares what it takes, gives, reads of
``params.yaml`` and imports. The two must agree, and the geometry that a stage gives must be one
that the next takes: a ring-ordered map into a nested model is found here, in a second.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from geocore.config.load import read_sections
from geocore.config.section import Section
from geocore.errors import UserError
from geocore.pipeline.dvcfile import DvcStage, read_dvc
from geocore.pipeline.prefectfile import deployment_faults
from geocore.pipeline.run import stage_of, top_level_keys
from geocore.pipeline.stage import Port, Stage
from geocore.runs.closure import import_closure

__all__ = ["faults"]

_CODE = ("geocore/", "flows/", "tasks/")
_LAZY = {"attach", "__getattr__", "__dir__", "__all__", "__name__", "__version__", "_exports"}


def faults(root: Path) -> list[str]:
    """Every disagreement, in the root's pipeline and each study's; empty when the wiring holds."""
    found = _pipeline_faults(root, "")
    for file in sorted((root / "studies").glob("*/dvc.yaml")):
        try:
            found += _pipeline_faults(root, file.parent.relative_to(root).as_posix() + "/")
        except UserError as error:
            found += [f"studies/{file.parent.name}: {line}" for line in error.lines]
    return found + list(deployment_faults(root))


def _pipeline_faults(root: Path, study: str) -> list[str]:
    """Faults of one ``dvc.yaml``; ``study`` is its folder with a slash behind, or empty."""
    written = read_dvc(root / study)
    found: list[str] = []
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
        sections = read_sections(path, kinds.values(), known, where=f"{study}params.yaml")
    except UserError as error:
        found += error.lines
    for name, stage in declared.items():
        found += _stage_faults(root, study, written[name], stage)
    made = {f"{study}{port.path}": n for n, st in declared.items() for port in st.gives.values()}
    for name, stage in declared.items():
        for port in stage.takes.values():
            given = f"{study}{port.path}"
            if port.optional and given in made and given not in written[name].deps:
                found.append(
                    f"{study}dvc.yaml: stage {name}: deps lack {given}; expected what "
                    f"{made[given]} gives, since it is a stage here"
                )
    if sections is not None:
        found += [f"{study}{': ' * bool(study)}{line}" for line in _type_faults(declared, sections)]
    return found


def _stage_faults(root: Path, study: str, written: DvcStage, stage: Stage) -> Iterator[str]:
    where = f"{study}dvc.yaml: stage {stage.name}"
    command = f"python -m flows.{stage.name} {study}".rstrip(" /")
    if written.cmd != command:
        yield f"{where}: cmd is {written.cmd!r}; expected {command!r}"
    wdir = "../.." if study else "."
    if written.wdir != wdir:
        yield f"{where}: wdir is {written.wdir!r}; expected {wdir!r}, the project's root"
    params = stage.params()
    yield from _differences(f"{where}: params", written.params, params)
    files = [f"{study}params.yaml"] if params else []
    yield from _differences(f"{where}: params files", written.params_files, files)
    outs = [f"{study}{port.path}" for port in stage.gives.values()]
    yield from _differences(f"{where}: outs", written.outs, outs)
    may = {f"{study}{port.path}" for port in stage.takes.values() if port.optional}
    must = [f"{study}{port.path}" for port in stage.takes.values() if not port.optional]
    data = [dep for dep in written.deps if not dep.startswith(_CODE)]
    extra = {dep for dep in data if dep.startswith("data/own")} | may
    yield from _differences(f"{where}: deps", [dep for dep in data if dep not in extra], must)
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


def _type_faults(declared: dict[str, Stage], sections: dict[str, Section]) -> Iterator[str]:
    makers: dict[str, tuple[str, Port]] = {
        port.path: (name, port) for name, stage in declared.items() for port in stage.gives.values()
    }
    for name, stage in declared.items():
        for title, port in stage.takes.items():
            if port.path not in makers:
                if port.optional:
                    continue
                yield f"stage {name}: takes {port.path}, which no stage gives"
                continue
            maker, given = makers[port.path]
            joint = f"{maker} -> {name} ({title})"
            if given.kind != port.kind:
                yield f"{joint}: is {given.kind}; expected {port.kind}"
            if given.type is not None and port.type is not None:
                mine, wanted = given.type(sections), port.type(sections)
                yield from (f"{joint}: {fault}" for fault in mine.mismatches(wanted))

"""Where a stage's inputs lie: in its own folder, in one above it, or in the studies below it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from geocore.config.section import Section
from geocore.errors import UserError
from geocore.pipeline.stage import Port

__all__ = ["candidates", "located", "study_files", "study_folder"]


def located(
    takes: Mapping[str, Port],
    study: str,
    deps: Collection[str],
    sections: Mapping[str, Section] | None,
) -> dict[str, tuple[str, ...]]:
    """The path of each input from the project's root, as the stage's ``deps`` list it.

    ``study`` is the folder of the stage's ``params.yaml`` below the root, empty for the root
    itself. An input lies at ``STUDY/PATH``, or at ``PATH`` of the nearest folder above that the
    deps list: several networks of one study train on one table. An input of ``each`` study below
    has as many paths as the deps list. An optional input that is not listed is left out; one that
    must be there and is not is looked for in the stage's own folder.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, port in takes.items():
        if port.each:
            found[name] = tuple(sorted(dep for dep in deps if _is_below(dep, study, port.path)))
            continue
        optional = port.optional
        if port.needed is not None:
            if sections is not None and not port.needed(sections):
                continue
            optional = sections is None
        listed = [path for path in candidates(port, study) if path in deps]
        if listed:
            found[name] = (listed[0],)
        elif not optional:
            found[name] = ((PurePosixPath(study) / port.path).as_posix(),)
    return found


def candidates(port: Port, study: str) -> list[str]:
    """Where an input may lie, from the root: the own folder first, then those above it."""
    own = PurePosixPath(study)
    return [(folder / port.path).as_posix() for folder in (own, *own.parents)]


def study_files(root: Path) -> list[Path]:
    """Each ``dvc.yaml`` below ``studies/``, those above first, but for hidden folders."""
    found = (root / "studies").rglob("dvc.yaml")
    seen = (
        file
        for file in found
        if not any(part.startswith(".") for part in file.relative_to(root).parts)
    )
    return sorted(seen, key=lambda file: file.parent)


def study_folder(root: Path, name: str) -> str:
    """The folder of study ``name`` from the root; ``UserError`` if there is no such study."""
    above = root / "studies"
    known = [file.parent.relative_to(above).as_posix() for file in study_files(root)]
    if name not in known:
        there = f"expected one of {', '.join(known)}" if known else "there is none yet"
        raise UserError(f"study {name!r} is unknown; {there}")
    return f"studies/{name}"


def _is_below(dep: str, study: str, path: str) -> bool:
    """Whether ``dep`` is ``path`` of a folder strictly below ``study``."""
    inside = PurePosixPath(dep)
    return inside != PurePosixPath(study) / path and (
        dep.endswith(f"/{path}") and inside.is_relative_to(study or ".")
    )

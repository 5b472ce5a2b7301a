"""What the shell offers behind a word: stages, studies, presets, runs, revisions.

Each is asked at every press of the key, so it reads a few files and imports nothing heavy, and it
offers nothing rather than fail: outside a project, on a file that cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

__all__ = [
    "complete_flow",
    "complete_name",
    "complete_preset",
    "complete_run",
    "complete_stage",
    "complete_study",
    "flow_names",
]

_NO_FLOWS = ("stage", "server", "deployments", "tethered")  # files of flows/ that are none
_RUNS = 200  # the newest, that are offered
# The shell puts it into the line as it is: `$(...)` in a branch's name would be run there.
_PLAIN = re.compile(r"[\w@.+/:=,%-]+")
_KEY = re.compile(r"^( *)([\w@.+-]+):", re.MULTILINE)


def flow_names(root: Path) -> list[str]:
    """The flows of ``flows/`` by the names of their files."""
    files = sorted(file.stem for file in (root / "flows").glob("[!_]*.py"))
    return [name for name in files if name not in _NO_FLOWS]


def complete_stage(incomplete: str) -> list[str]:
    """The stages of ``dvc.yaml``."""
    return _offered(incomplete, lambda root: _keys(root / "dvc.yaml", below="stages"))


def complete_flow(incomplete: str) -> list[str]:
    """The stages, and the flows that are none."""

    def known(root: Path) -> Iterable[str]:
        return [*_keys(root / "dvc.yaml", below="stages"), *flow_names(root)]

    return _offered(incomplete, known)


def complete_study(incomplete: str) -> list[str]:
    """The studies, those below others by their path."""
    return _offered(incomplete, _studies)


def complete_preset(incomplete: str) -> list[str]:
    """The presets of ``presets.yaml``."""
    return _offered(incomplete, lambda root: _keys(root / "presets.yaml"))


def complete_run(incomplete: str) -> list[str]:
    """The runs of the ledger, the newest first."""
    return _offered(incomplete, _runs)


def complete_name(incomplete: str) -> list[str]:
    """What ``geocore compare`` takes: the workspace, revisions, experiments, studies, runs."""

    def known(root: Path) -> Iterable[str]:
        from geocore.report.repository import Repository

        repository = Repository(root)
        experiments = [found.name for found in repository.experiments()]
        studies = [f"studies/{name}" for name in _studies(root)]
        return ["workspace", "HEAD", *repository.names(), *experiments, *studies, *_runs(root)]

    return _offered(incomplete, known)


def _offered(incomplete: str, known: Callable[[Path], Iterable[str]]) -> list[str]:
    from geocore.errors import UserError
    from geocore.runs.home import project_root

    try:
        names = dict.fromkeys(known(project_root()))
    except (OSError, UserError, ValueError):
        return []
    return [name for name in names if name.startswith(incomplete) and _PLAIN.fullmatch(name)]


def _studies(root: Path) -> list[str]:
    # As geocore.pipeline.inputs.study_files, which imports pydantic.
    above = root / "studies"
    found = (file.parent.relative_to(above) for file in above.rglob("dvc.yaml"))
    return sorted(f.as_posix() for f in found if not any(p.startswith(".") for p in f.parts))


def _runs(root: Path) -> list[str]:
    from geocore.runs.home import ledger_folder

    names = sorted((file.stem for file in ledger_folder(root).glob("[!.]*.json")), reverse=True)
    return names[:_RUNS]


def _keys(file: Path, below: str | None = None) -> list[str]:
    """The keys of the outermost mapping of a YAML file, or of that below one of them.

    By their indentation: to parse the whole file takes longer than a shell should wait.
    """
    found: list[str] = []
    inside, indent = below is None, 0 if below is None else -1
    for spaces, key in _KEY.findall(file.read_text(encoding="utf-8")):
        depth = len(spaces)
        if below is not None and depth == 0:
            inside, indent = key == below, -1
            continue
        if inside and indent < 0:
            indent = depth
        if inside and depth == indent:
            found.append(key)
    return found

"""How each study stands: not built, not run, measured, or measured by what has changed since."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from geocore.errors import UserError
from geocore.pipeline.code import is_plumbing
from geocore.pipeline.dvcfile import DvcStage, locked_stages, read_dvc
from geocore.pipeline.dvcstatus import dvc_status
from geocore.pipeline.inputs import study_files
from geocore.pipeline.studies.page import Headline, measured, read_page
from geocore.pipeline.studies.papers import PAPERS
from geocore.runs.digest import digest_file
from geocore.runs.home import ledger_folder
from geocore.runs.ledger import Ledger

__all__ = ["Figure", "State", "Study", "survey"]

State = Literal["not built", "begun", "not run", "measured", "stale", "broken"]
_NAMED = 3  # stages that are named beside a cause
_GONE = ("deleted", "not in cache")  # of a file that a stage made: it can be made again


@dataclass(frozen=True)
class Figure:
    """The headline figure: what was measured, where it stands, and the paper's."""

    label: str
    value: float
    file: str
    key: str
    published: float | None
    source: str | None


@dataclass(frozen=True)
class Study:
    """A study as it stands.

    ``not built``: there is no folder. ``begun``: it names no headline figure yet. ``not run``: no
    stage has written the figure. ``measured``: by this code, these parameters and this data, but
    for ``plumbing``, files that have changed since and decide no result; ``stale``: by others,
    ``because`` says which. ``broken``: ``fault`` says why no figure can be told. ``commit`` is the
    code's as the run ledger has it, with ``+`` where it had been changed; where the ledger does not
    know the run, ``recorded`` is the commit that brought its dvc.lock.
    """

    name: str
    title: str
    arxiv: str | None
    state: State
    figure: Figure | None = None
    because: tuple[str, ...] = ()
    plumbing: tuple[str, ...] = ()
    fault: str | None = None
    commit: str | None = None
    recorded: str | None = None


@dataclass(frozen=True)
class _Measured:
    """A study with a figure, before it is known whether that still holds.

    ``stages`` are those of its own and of the studies below it, by the name that DVC's status has.
    """

    study: Study
    stages: dict[str, DvcStage]
    maker: DvcStage
    path: str

    @property
    def files(self) -> list[str]:
        """The ``dvc.yaml`` of each, from the root."""
        return list(dict.fromkeys(name.rpartition(":")[0] for name in self.stages))


def survey(root: Path) -> list[Study]:
    """The fifteen in the design's order, then the user's own by name. DVC is asked once for all.

    A study that cannot be read, by this or by DVC, is ``broken`` and hides no other.
    """
    studies = {p.name: Study(p.name, p.title, p.arxiv, "not built") for p in PAPERS}
    for file in sorted((root / "studies").glob("[!.]*/dvc.yaml")):
        name = file.parent.name
        studies.setdefault(name, Study(name, "", None, "not built"))
    looked = [_look(root, study) for study in studies.values()]
    files = {one.study.name: one.files for one in looked if isinstance(one, _Measured)}
    status, refused = _asked(root, files)
    runs = Ledger(ledger_folder(root)).runs() if files else []
    return [
        one if isinstance(one, Study) else _told(root, one, status, refused, runs) for one in looked
    ]


def _asked(
    root: Path, files: dict[str, list[str]]
) -> tuple[dict[str, list[Any]], dict[str, UserError]]:
    """What DVC says of these studies, asked once; where it refuses them together, one by one."""
    if not files:
        return {}, {}
    try:
        return dvc_status(root, *(file for some in files.values() for file in some)), {}
    except UserError:
        if importlib.util.find_spec("dvc") is None:
            raise
    status: dict[str, list[Any]] = {}
    refused: dict[str, UserError] = {}
    for name, some in files.items():
        try:
            status |= dvc_status(root, *some)
        except UserError as error:
            refused[name] = error
    return status, refused


def _look(root: Path, study: Study) -> Study | _Measured:
    where = f"studies/{study.name}"
    folder = root / where
    if not folder.is_dir():
        return study
    try:
        if not (folder / "dvc.yaml").is_file():
            raise UserError(f"{where}: no dvc.yaml; expected the study's pipeline")
        stages = _stages(root, where)
        page = read_page(folder, where)
        study = replace(study, title=study.title or page.title)
        if page.headline is None:
            return replace(study, state="begun")
        maker = _maker(stages, page.headline, where)
        value = measured(folder, page.headline, where)
    except UserError as error:
        return replace(study, state="broken", fault=error.lines[0])
    if value is None:
        return replace(study, state="not run")
    line = page.headline
    figure = Figure(line.label, value, line.file, line.key, line.published, line.source)
    known = replace(study, state="measured", figure=figure)
    return _Measured(known, stages, maker, f"{where}/{line.file}")


def _stages(root: Path, where: str) -> dict[str, DvcStage]:
    """The stages of a study and of those below it: ``studies/x/dvc.yaml:train``."""
    found: dict[str, DvcStage] = {}
    for file in study_files(root):
        folder = file.parent.relative_to(root)
        if folder.is_relative_to(where):
            try:
                stages = read_dvc(file.parent)
            except UserError as error:
                raise UserError(f"{folder.as_posix()}: {error.lines[0]}") from None
            found |= {f"{folder.as_posix()}/dvc.yaml:{n}": stage for n, stage in stages.items()}
    return found


def _maker(stages: dict[str, DvcStage], headline: Headline, where: str) -> DvcStage:
    """The stage that writes the headline's file: a figure that none writes was typed by hand."""
    for name, stage in stages.items():
        if name.startswith(f"{where}/dvc.yaml:") and f"{where}/{headline.file}" in stage.outs:
            return stage
    raise UserError(
        f"{where}/README.md: headline.file is {headline.file}, which no stage of its dvc.yaml "
        "writes; expected an output"
    )


def _told(
    root: Path,
    one: _Measured,
    status: dict[str, list[Any]],
    refused: dict[str, UserError],
    runs: list[dict[str, Any]],
) -> Study:
    try:
        if one.study.name in refused:
            raise refused[one.study.name]
        return _judged(root, one, status, runs)
    except UserError as error:
        return replace(one.study, state="broken", figure=None, fault=error.lines[0])


def _judged(
    root: Path, one: _Measured, status: dict[str, list[Any]], runs: list[dict[str, Any]]
) -> Study:
    study, where = one.study, f"studies/{one.study.name}"
    changed = {name: status.get(name, []) for name in one.stages}
    maker = one.maker.name
    try:
        known = locked_stages(root / where)
    except UserError as error:
        raise UserError(f"{where}: {error.lines[0]}") from None
    mine = changed[f"{where}/dvc.yaml:{maker}"]
    if maker not in known or _states(mine).get(one.path) == "modified":
        raise UserError(
            f"{one.path}: is not what stage {maker} wrote; run dvc repro {where}/dvc.yaml"
        )
    since = _changes(one, changed)
    plumbing = tuple(what for what in since if is_plumbing(what.rpartition(" ")[0]))
    because = tuple(
        f"{what} ({_some(names)})" for what, names in since.items() if what not in plumbing
    )
    commit = _commit(root, one, runs)
    recorded = None if commit else _recorded(root, f"{where}/dvc.lock")
    return replace(
        study,
        state="stale" if because else "measured",
        because=because,
        plumbing=tuple(what.rpartition(" ")[0] for what in plumbing),
        commit=commit,
        recorded=recorded,
    )


def _changes(one: _Measured, changed: dict[str, list[Any]]) -> dict[str, list[str]]:
    """What changed since, ``PATH STATE``, and for which stages: the maker and those above it.

    A failed gate below is no cause.

    Data that the study's own stages made and that is gone (a fresh clone has none) changes nothing.
    """
    makers = {out: name for name, stage in one.stages.items() for out in stage.outs}
    above: set[str] = set()
    pending = [f"studies/{one.study.name}/dvc.yaml:{one.maker.name}"]
    while pending:
        name = pending.pop()
        if name not in above:
            above.add(name)
            pending += [makers[dep] for dep in one.stages[name].deps if dep in makers]
    told: dict[str, list[str]] = {}
    for name in (name for name in one.stages if name in above):
        lines = [entry for entry in changed[name] if isinstance(entry, str)]
        for path, state in _states(changed[name]).items():
            if not (path in makers and state in _GONE):
                lines.append(f"{path} {state}")
        file, _, short = name.removeprefix(f"studies/{one.study.name}/").partition("dvc.yaml:")
        for line in lines:
            told.setdefault(line, []).append(f"{file}{short}")
    return told


def _some(names: list[str]) -> str:
    left = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {left} more" if left > 0 else "")


def _states(entries: Iterable[Any]) -> dict[str, str]:
    """Path -> state of the entries' files; of a file of parameters ``leaf -> state``."""
    found: dict[str, str] = {}
    for entry in entries:
        for group in entry.values() if isinstance(entry, dict) else ():
            for path, state in group.items():
                found |= state if isinstance(state, dict) else {path: str(state)}
    return found


def _commit(root: Path, one: _Measured, runs: list[dict[str, Any]]) -> str | None:
    """The code's commit of the newest run that gave just these bytes; ``+`` if it was changed."""
    where = f"studies/{one.study.name}"
    file, digest = one.path.removeprefix(f"{where}/"), digest_file(root / one.path)
    for run in runs:
        mine = (run["stage"], run.get("study")) == (one.maker.name, where)
        if mine and (run.get("outs") or {}).get(file) == digest:
            code = run.get("code") or {}
            commit = str(code.get("commit") or "")[:10]
            return f"{commit}{'+' * bool(code.get('dirty'))}" if commit else None
    return None


def _recorded(root: Path, path: str) -> str | None:
    """The last commit that changed a file; None without git, and for what is not committed."""
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-C", str(root), "log", "-1", "--format=%H", "--", path]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=quiet)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip()[:10] or None if done.returncode == 0 else None

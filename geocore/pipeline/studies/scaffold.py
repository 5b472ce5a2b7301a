"""A new study that runs at once: the root's pipeline in small, in a folder of its own.

The stages are the root's own, from data to gate, with every path below the study's folder and the
root's parameters, until somebody changes them. A study below another takes that one's data.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from geocore.config.load import read_yaml
from geocore.config.runtime import RuntimeParams
from geocore.errors import UserError
from geocore.pipeline.dvcfile import DvcStage, read_dvc
from geocore.pipeline.studies.papers import PAPERS, Paper
from geocore.runs.atomic import beside, disk_error, remove_stale, write_text

__all__ = ["STAGES", "as_yaml", "new_study"]

STAGES = ("fetch", "project", "resample", "train", "evaluate", "gate")
_OF_DATA = ("fetch", "project", "resample")

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CODE = ("geocore/", "flows/", "tasks/")

_DVC_HEAD = """\
# The pipeline of this study. Paths are from the project's root (wdir), and `geocore check` holds
# every stage against its declaration in geocore/pipeline/.
"""
_PARAMS_HEAD = """\
# Every number of this study. What each key means and may be: docs/parameters.md.
"""
_OWN_FRONT = """\
---
# What `geocore papers` tells of this study: a figure that a stage writes, and a published one.
headline:
  label: accuracy on the test split
  file: results/evaluate/metrics.json
  key: test.accuracy
  published: null
  source: null
---
"""
_PAPER_FRONT = """\
---
# What `geocore papers` tells of this study. Until a headline stands here, it is begun and no more.
# headline:
#   label: what the figure is
#   file: results/evaluate/metrics.json
#   key: test.accuracy
#   published: the paper's value, a number or null
#   source: where the paper has it, "Table 2"
headline: null
---
"""
_BODY = """\

# {title}

{link}This folder is a scaffold: the project's own pipeline, with the project's parameters. What
follows is to be written.

## The claim

What the paper says, with its figures and where it has them.

## How it is run here

`dvc repro studies/{name}/dvc.yaml`

## What was measured, and on what

Figures from `results/`, the machine, and what it took.

## What differs

From the paper: data, sizes, training, whatever was left out, and what it may cost.
"""


def new_study(root: Path, name: str, title: str | None = None) -> list[Path]:
    """Make ``studies/NAME`` whole or not at all; return its files.

    ``NAME`` may be ``STUDY/OTHER``: a study below one that is there, without a page, whose network
    trains on the data of the nearest study above that gives them. Raises ``UserError`` for a name
    that is no identifier in lower case or is taken, for a title beside that of one of the fifteen
    papers, where the root's pipeline lacks a stage, and where no study above gives the data.
    """
    if not all(_NAME.fullmatch(part) for part in name.split("/")):
        raise UserError(
            f"study {name!r}: expected a name of at most 64 lower-case letters, digits and _, a "
            "letter first; STUDY/NAME for one below another"
        )
    top, _, below = name.partition("/")
    if below and not (root / "studies" / top / "dvc.yaml").is_file():
        raise UserError(f"studies/{top}: no dvc.yaml there; expected the study that {name} is of")
    if below and title is not None:
        raise UserError(f"--title {title!r}: {name} has no page; expected no title")
    folder = root / "studies" / name
    if folder.exists() or folder.is_symlink():
        raise UserError(f"studies/{name}: is there already; expected a new name")
    paper = next((paper for paper in PAPERS if paper.name == name), None)
    if paper is not None and title is not None:
        raise UserError(f"--title {title!r}: {name} is {paper.title!r}; expected no other title")
    files = {
        "dvc.yaml": _DVC_HEAD + _stages(root, name),
        "params.yaml": _PARAMS_HEAD + _params(root, _chosen(name)),
    }
    if not below:
        files["README.md"] = _page(name, title, paper)
    # Below .geocore/, where neither git nor DVC looks: a copy that a kill leaves disturbs nobody,
    # and by its name `remove_stale` knows it, here the next time and in `geocore store gc`.
    aside = root / ".geocore"
    apart = name.replace("/", ".")
    temporary = beside(aside / apart)
    try:
        remove_stale(aside)
        for file, text in files.items():
            write_text(temporary / file, text)
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.rename(folder)
    except OSError as error:
        told = disk_error(error, folder)
        if told is None:
            raise UserError(f"studies/{name}: {error.strerror}; expected to make it") from error
        raise told from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return [folder / file for file in files]


def _stages(root: Path, name: str) -> str:
    """The root's stages as the study's ``dvc.yaml`` has them."""
    document, stages = read_yaml(root / "dvc.yaml").get("stages") or {}, read_dvc(root)
    for stage in STAGES:
        if stage not in stages:
            raise UserError(f"dvc.yaml: no stage {stage}; expected it, to make a study of")
    chosen = _chosen(name)
    study = f"studies/{name}/"
    made = {out: f"{study}{out}" for stage in chosen for out in stages[stage].outs}
    made |= _above(root, name, [out for stage in _OF_DATA for out in stages[stage].outs])
    elsewhere = {out for stage in stages.values() for out in stage.outs} - made.keys()
    texts = []
    for stage in chosen:
        about = _moved(document[stage], stages[stage], study, made, elsewhere)
        texts.append(as_yaml({"stages": {stage: about}}).removeprefix("stages:\n"))
    return "stages:\n" + "\n".join(texts)


def _chosen(name: str) -> tuple[str, ...]:
    """The stages of a study; one below another has no data of its own."""
    return tuple(stage for stage in STAGES if "/" not in name or stage not in _OF_DATA)


def _above(root: Path, name: str, data: list[str]) -> dict[str, str]:
    """Where the nearest study above gives each of these outputs, if any does."""
    found: dict[str, str] = {}
    for folder in Path(name).parents[:-1]:
        study = f"studies/{folder.as_posix()}"
        if (root / study / "dvc.yaml").is_file():
            outs = {out for stage in read_dvc(root / study).values() for out in stage.outs}
            found = {out: f"{study}/{out}" for out in data if f"{study}/{out}" in outs} | found
    if "/" in name and "data/healpix" not in found:
        raise UserError(
            f"studies/{name}: no study above gives data/healpix; expected one with a stage resample"
        )
    return found


def _moved(
    about: dict[str, Any], stage: DvcStage, study: str, made: dict[str, str], elsewhere: set[str]
) -> dict[str, Any]:
    """A stage with what it reads where it is ``made`` and what it writes below ``study``."""

    def below(entry: Any) -> Any:
        if isinstance(entry, dict):
            return {f"{study}{path}": options for path, options in entry.items()}
        return f"{study}{entry}"

    moved: dict[str, Any] = {key: about[key] for key in ("desc",) if key in about}
    wdir = "/".join([".."] * len(Path(study).parts))
    moved |= {"cmd": f"{stage.cmd} {study.rstrip('/')}", "wdir": wdir}
    kept = [dep for dep in stage.deps if dep not in elsewhere]
    moved["deps"] = [made.get(dep, dep) for dep in kept]
    if stage.params:
        moved["params"] = [{f"{study}params.yaml": list(stage.params)}]
    for key in ("outs", "metrics", "plots"):
        if about.get(key):
            moved[key] = [below(entry) for entry in about[key]]
    return moved | {key: value for key, value in about.items() if key not in (*moved, "params")}


def _params(root: Path, chosen: tuple[str, ...]) -> str:
    """The sections of the root's ``params.yaml`` that the study's stages read."""
    stages, values = read_dvc(root), read_yaml(root / "params.yaml")
    read = {leaf.split(".")[0] for stage in chosen for leaf in stages[stage].params}
    missing = sorted(read - values.keys())
    if missing:
        raise UserError(f"params.yaml: {missing[0]} is missing; expected a mapping of keys")
    wanted = read | {RuntimeParams.title}
    return as_yaml({title: value for title, value in values.items() if title in wanted})


def _page(name: str, title: str | None, paper: Paper | None) -> str:
    if paper is None:
        return _OWN_FRONT + _BODY.format(title=_one_line(title, name), name=name, link="")
    link = f"The paper: [arXiv:{paper.arxiv}](https://arxiv.org/abs/{paper.arxiv}).\n\n"
    return _PAPER_FRONT + _BODY.format(title=paper.title, name=name, link=link)


def _one_line(title: str | None, name: str) -> str:
    return " ".join((title or "").split()) or name.replace("_", " ").strip().capitalize()


class _Dumper(yaml.SafeDumper):
    """Lists in blocks are indented, short lists of values stand in a line."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _string(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # PyYAML writes YAML 1.1: whatever might be a number in 1.2 is put in quotes.
    plain = re.fullmatch(r"[A-Za-z].*", value)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else "'")


def _list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.SequenceNode:
    flow = all(isinstance(item, (int, float)) for item in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=flow)


_Dumper.add_representer(str, _string)
_Dumper.add_representer(list, _list)


def as_yaml(value: dict[str, Any]) -> str:
    """YAML as a pipeline's files have it: lists of numbers in a line, the rest in blocks."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)

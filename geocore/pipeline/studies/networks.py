"""Another network for a pipeline that is there: its section of parameters, and who reads it.

A network's keys are its own, so that ``-S model.name=NAME`` alone leaves the others without keys
and ``dvc.yaml`` with keys that are no more. Here both files change together, or neither.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geocore.config.load import read_yaml, validate
from geocore.config.model import ModelParams
from geocore.errors import UserError
from geocore.pipeline.dvcfile import read_dvc
from geocore.pipeline.inputs import study_folder
from geocore.pipeline.studies.scaffold import as_yaml
from geocore.pipeline.wiring import faults
from geocore.runs.atomic import write_text

__all__ = ["STARTING", "use_network"]

_SWIN = {
    "embed": 24, "depths": [2, 2], "heads": [2, 4], "window": 16, "mlp_ratio": 2.0, "dropout": 0.0,
    "position": "none", "shift": "grid", "norm": "pre", "attention": "dot", "relative_bias": True,
    "dropout_kind": "element", "attention_dropout": 0.0, "drop_path": 0.1, "checkpointing": False,
}  # fmt: skip
STARTING: Mapping[str, Mapping[str, Any]] = {
    "healpix_encoder": {
        "name": "healpix_encoder", "block": "mlp", "embed": 32, "depths": [2, 2], "heads": [4, 8],
        "window": 16, "mlp_ratio": 2.0, "dropout": 0.1, "position": "orbit",
    },
    "heal_swin": {"name": "heal_swin", **_SWIN},
    "swin": {"name": "swin", **_SWIN},
    "s2cnn": {
        "name": "s2cnn", "features": [8, 16], "bandlimits": [8, 4], "orders": None,
        "activation": "relu", "oversampling": 2.0, "sampling": "gauss-legendre", "norm": "channel",
        "kernel": "distinct", "points": [8, 3, 8], "reach": 4.0, "hidden": [], "recompute": False,
    },
    "cnn": {"name": "cnn", "features": [16, 32], "kernels": [3, 3], "strides": [2, 2]},
}  # fmt: skip
"""Settings to start from, a network each: small, for maps of some hundred pixels."""


def use_network(root: Path, name: str, study: str | None = None, like: str | None = None) -> None:
    """Give a pipeline the network ``name``: ``model`` of ``params.yaml``, and ``params`` of stages.

    ``study`` is the pipeline's folder below ``studies/``, the root's by default. The settings are
    those of ``STARTING``, or those that the study ``like`` has. Comments of other lines stay.
    Raises ``UserError`` for a network or study that there is not, and where the wiring would not
    hold (a network on the plane behind a table of spheres, say): then nothing has changed.
    """
    folder = root / (study_folder(root, study) if study else "")
    section = _section(root, name, like)
    params, wiring = folder / "params.yaml", folder / "dvc.yaml"
    readers = [stage for stage in read_dvc(folder).values() if "model.name" in stage.params]
    if not read_yaml(params).get("model") or not readers:
        raise UserError("params.yaml: no stage here reads model; expected a pipeline that trains")
    before = {path: path.read_text(encoding="utf-8") for path in (params, wiring)}
    wrong = set(faults(root))
    try:
        write_text(params, _with_section(before[params], section))
        write_text(wiring, _with_leaves(before[wiring], [f"model.{key}" for key in section]))
        new = [line for line in faults(root) if line not in wrong]
        if new:
            raise UserError(f"model {name}: does not fit here: {new[0]}")
    except BaseException:
        for path, text in before.items():
            write_text(path, text)
        raise


def _section(root: Path, name: str, like: str | None) -> Mapping[str, Any]:
    if name not in STARTING:
        raise UserError(f"model {name!r}: expected one of {', '.join(STARTING)}")
    if like is None:
        return STARTING[name]
    path = root / study_folder(root, like) / "params.yaml"
    where = path.relative_to(root).as_posix()
    section = validate(read_yaml(path).get(ModelParams.title), ModelParams, where)
    found = section.model_dump(mode="json")
    if found["name"] != name:
        raise UserError(f"{where}: model.name is {found['name']}; expected {name}")
    return found


def _with_section(text: str, section: Mapping[str, Any]) -> str:
    """The parameters with that ``model``, in the lines where one stood.

    Comments between its keys go with them; those that follow belong to what comes next.
    """
    block = as_yaml({ModelParams.title: dict(section)})
    found, count = re.subn(
        r"^model:[^\n]*\n(?:(?:(?:#[^\n]*)?\n)*[ \t][^\n]*(?:\n|\Z))*", block, text, flags=re.M
    )
    if count != 1:
        raise UserError("params.yaml: model is no block of lines; expected its keys below it")
    return found


def _with_leaves(text: str, leaves: list[str]) -> str:
    """The stages with those leaves, where a list of parameters had leaves of ``model``."""

    def listed(match: re.Match[str]) -> str:
        return "".join(f"{match['indent']}- {leaf}\n" for leaf in leaves)

    return re.sub(r"(?:^(?P<indent> +)- model\.\w+\n)+", listed, text, flags=re.MULTILINE)

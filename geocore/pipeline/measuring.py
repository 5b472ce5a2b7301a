"""What the evaluation of classes and that of pixels share: rotations, checks, the files' forms."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from geocore.config.evaluate import EvaluateParams
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.measure.calibration import Reliability
from geocore.pipeline.grid_rotations import quarter_turns_of_grid, sampled_rotations_of_grid
from geocore.pipeline.stage import Job
from geocore.pipeline.symmetry_errors import (
    Rotation,
    SymmetryErrors,
    quarter_turns,
    sampled_rotations,
)
from geocore.runs.digest import digest_file, digest_tree

__all__ = [
    "digests",
    "equivariance",
    "evenly",
    "require_same_classes",
    "rotations",
    "write_reliability",
    "write_rows",
]


def require_same_classes(job: Job, trained: Sequence[str], found: Sequence[str], name: str) -> None:
    """``UserError`` unless the network was trained on the classes of the input ``name``."""
    if tuple(trained) != tuple(found):
        raise UserError(
            f"{job.stage.takes['model'].path}: trained on the {len(trained)} classes "
            f"{_few(trained)}; expected the {len(found)} of {job.stage.takes[name].path}, "
            f"{_few(found)}: run train"
        )


def rotations(
    kind: TableType, params: EvaluateParams
) -> tuple[list[Rotation], dict[str, list[Rotation]], str | None]:
    """The quarter turns, the sampled rotations by group, and why there are no quarter turns."""
    sampled: Callable[[Literal["z", "so3"], int, int], list[Rotation]]
    if kind.grid == "driscoll-healy":
        assert kind.height is not None  # such a table says it
        sampled = sampled_rotations_of_grid
        exact = partial(quarter_turns_of_grid, kind.height // 2)
    else:
        assert kind.nside is not None and kind.faces is not None  # a HEALPix table says both
        sampled = partial(sampled_rotations, faces=kind.faces)
        exact = partial(quarter_turns, kind.faces, kind.nside)
    about_z = sampled("z", params.rotations, params.seed)
    found = {"z": about_z, "so3": sampled("so3", params.rotations, params.seed)}
    try:
        return exact(), found, None
    except ValueError as error:
        return [], found, str(error)


def evenly(count: int, wanted: int) -> Tensor:
    """At most ``wanted`` of ``count`` positions, evenly: a source may be sorted by class."""
    taken = min(count, wanted)
    return torch.arange(taken) * count // taken


def equivariance(errors: SymmetryErrors, reason: str | None) -> dict[str, Any]:
    """The errors by group and layer, with the ``reason`` where there are no quarter turns."""
    found: dict[str, Any] = {"z": errors.summary("z"), "so3": errors.summary("so3")}
    if reason is not None:
        return {**found, "quarter_turn": None, "quarter_turn_reason": reason}
    return {**found, "quarter_turn": errors.summary("quarter_turn")}


def write_reliability(path: Path, table: Reliability) -> None:
    """A row a bin that has samples."""
    columns = ("lower", "upper", "count", "confidence", "accuracy")
    rows = zip(*(getattr(table, name).tolist() for name in columns), strict=True)
    write_rows(path, columns, [row for row in rows if not math.isnan(row[-1])])


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A CSV file."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows([header, *rows])


def digests(folder: Path) -> dict[str, str]:
    """The digest of each file and folder in ``folder``, by name."""
    return {
        path.name: digest_tree(path) if path.is_dir() else digest_file(path)
        for path in sorted(folder.iterdir())
    }


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")

"""Networks by name: building one from parameters and a seed, and reading a trained one back."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from geocore.config.foreign_json import parse_json
from geocore.config.model import ModelParams
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.models.catalogue import MODELS

__all__ = ["ModelInfo", "build", "load", "read_info"]

Task = Literal["classification", "segmentation", "depth"]
_TASKS = ("classification", "segmentation", "depth")


@dataclass(frozen=True)
class ModelInfo:
    """What ``model.json`` says beside the weights.

    ``type`` is the table that the network was made for, ``classes`` the names of its labels,
    ``parameters`` how many numbers it learns, ``normaliser`` what images are divided by first.
    ``outputs`` numbers come of a sample in ``classification``, of a pixel in the other tasks; 0
    stands for one a class. ``objective`` is what the training remembers of its loss, plain JSON:
    what turns outputs into metres, say.
    """

    params: ModelParams
    type: TableType
    classes: tuple[str, ...]
    parameters: int
    normaliser: float
    task: Task = "classification"
    outputs: int = 0
    objective: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outputs", self.outputs or len(self.classes))

    @property
    def dense(self) -> bool:
        """Whether the network answers for every pixel."""
        return self.task != "classification"

    def to_json(self) -> dict[str, Any]:
        """Plain values, the same bytes for equal infos."""
        return {
            "name": self.params.name,
            "params": self.params.model_dump(mode="json"),
            "type": dataclasses.asdict(self.type),
            "classes": list(self.classes),
            "parameters": self.parameters,
            "normaliser": self.normaliser,
            "task": self.task,
            "outputs": self.outputs,
            "objective": dict(self.objective),
        }

    @classmethod
    def from_json(cls, value: Any, where: str) -> ModelInfo:
        """The inverse of ``to_json``; a ``UserError`` names ``where`` the value was read."""
        try:
            kind = dict(value["type"])
            kind["faces"] = None if kind["faces"] is None else tuple(kind["faces"])
            if value["task"] not in _TASKS:
                raise ValueError(value["task"])
            return cls(
                params=ModelParams.read(value["params"]),
                type=TableType(**kind),
                classes=tuple(value["classes"]),
                parameters=int(value["parameters"]),
                normaliser=_divisor(value["normaliser"]),
                task=value["task"],
                outputs=int(value["outputs"]),
                objective=dict(value["objective"]),
            )
        except (KeyError, OverflowError, TypeError, ValueError, ValidationError):
            found = json.dumps(value)[:80]
            raise UserError(f"{where}: holds {found}; expected what train wrote") from None


def _divisor(value: Any) -> float:
    found = float(value)
    if not 0 < found < math.inf:
        raise ValueError(value)
    return found


def build(
    params: ModelParams, kind: TableType, outputs: int, seed: int, *, dense: bool = False
) -> nn.Module:
    """The network ``params.name`` for tables of type ``kind``, its weights drawn from ``seed``.

    It gives ``(batch, outputs)``; with ``dense`` an answer for every pixel, ``(batch, npix,
    outputs)`` or ``(batch, height, width, outputs)``. Equal arguments give equal weights; torch's
    own random state is left as it was. Raises ``UserError`` for a table or a task that the network
    does not take.
    """
    module, _, name = MODELS[params.name].partition(":")
    network = getattr(importlib.import_module(module), name)
    with torch.random.fork_rng(devices=[]):
        model: nn.Module = network(kind, outputs, params, seed=seed, dense=dense)
    return model


def read_info(about: Path) -> ModelInfo:
    """What ``model.json`` says; ``UserError`` for one that is missing or not what train wrote."""
    return ModelInfo.from_json(_read_json(about), str(about))


def load(
    weights: Path, about: Path, wanted: TableType | None = None
) -> tuple[nn.Module, ModelInfo]:
    """The trained network in evaluation mode, and what ``model.json`` (``about``) says of it.

    ``wanted`` is the type of the table that it is to be used on. Raises ``UserError`` for a
    missing, truncated or foreign file, a tensor that is missing, left over or of another shape,
    and a geometry other than wanted.
    """
    info = read_info(about)
    if wanted is not None and (faults := wanted.mismatches(info.type)):
        raise UserError(*(f"{about}: trained on other maps: {fault}" for fault in faults))
    model = build(info.params, info.type, info.outputs, seed=0, dense=info.dense)
    tensors = _read_weights(weights)
    expected = model.state_dict()
    _compare(weights, tensors, expected)
    model.load_state_dict(tensors)
    return model.eval(), info


def _compare(weights: Path, found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    if missing := sorted(expected.keys() - found.keys()):
        raise UserError(f"{weights}: {_named('tensor', missing)} missing; expected {len(expected)}")
    if left_over := sorted(found.keys() - expected.keys()):
        raise UserError(f"{weights}: {_named('tensor', left_over)} unknown to this network")
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape or tensor.dtype != expected[name].dtype:
            raise UserError(
                f"{weights}: tensor {name} is {_form(tensor)}; expected {_form(expected[name])}"
            )


def _named(word: str, names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{word} {names[0]} is"
    return f"{word}s {names[0]} and {len(names) - 1} more are"


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _read_json(path: Path) -> Any:
    try:
        return parse_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: missing; expected it beside the weights: run train") from None
    except ValueError:
        raise UserError(f"{path}: not JSON; expected what train wrote") from None


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise UserError(f"{path}: missing; expected trained weights: run train") from None
    except SafetensorError as error:
        size = path.stat().st_size
        raise UserError(
            f"{path}: no whole safetensors file ({size} bytes, {error}); expected trained weights"
        ) from None

"""A quantised network as integers and grids: what every back end is held against."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from geocore.config.foreign_json import parse_json
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import (
    IMAGES,
    Add,
    Concatenate,
    Convolution,
    Dense,
    MaxPool,
    Node,
    Shape,
    Upsample,
    Weighted,
    is_whole,
)

__all__ = ["QuantisedModel"]

_VERSION = 2
_KINDS = {
    "convolution": Convolution, "dense": Dense, "max_pool": MaxPool,
    "upsample": Upsample, "add": Add, "concatenate": Concatenate,
}  # fmt: skip
_TENSORS = ("weight", "bias")
# Of a node's fields by their types: a grid, and whether there may be none.
_GRIDS = {"FixedPoint": (True, False), "FixedPoint | None": (True, True)}


@dataclass(frozen=True)
class QuantisedModel:
    """Images ``shape (height, width, channels)`` on the grid ``input``, through ``nodes`` in order.

    The last node's value is the network's. Raises ``ValueError`` for nodes that do not fit: a name
    that is taken, a source that comes later or nowhere, a shape or a grid that a node does not
    take, a value that nobody reads.
    """

    shape: Shape
    input: FixedPoint
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        if not self.nodes:
            raise ValueError("nodes are none; expected at least one")
        if len(tuple(self.shape)) != 3 or not all(is_whole(size, 1) for size in self.shape):
            raise ValueError(f"shape is {self.shape!r}; expected (height, width, channels)")
        known, read = {IMAGES}, {self.nodes[-1].name}
        for node in self.nodes:
            if node.name in known:
                raise ValueError(f"{node.name} is the name of two nodes; expected one of its own")
            if unknown := [source for source in node.sources if source not in known]:
                raise ValueError(f"{node.name} reads {unknown[0]}; expected a node before it")
            known.add(node.name)
            read.update(node.sources)
        if idle := sorted(known - read):
            raise ValueError(f"nobody reads {idle[0]}; expected a network without loose ends")
        # Both ask every node, which says what it does not take.
        _ = self.shapes, self.grids

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Of the images and of what each node gives, by name."""
        found: dict[str, Shape] = {IMAGES: self.shape}
        for node in self.nodes:
            found[node.name] = node.shape([found[source] for source in node.sources])
        return found

    @cached_property
    def grids(self) -> dict[str, FixedPoint]:
        """Of the images and of what each node gives, by name."""
        found = {IMAGES: self.input}
        for node in self.nodes:
            found[node.name] = node.grid([found[source] for source in node.sources])
        return found

    @property
    def weighted(self) -> tuple[Weighted, ...]:
        """The nodes that have weights, in order."""
        return tuple(node for node in self.nodes if isinstance(node, Weighted))

    def multiplications(self, node: Weighted) -> int:
        """Multiplications an image in it, those by zero included.

        Those of a convolution are taken at every position of its output, at the border as well.
        """
        height, width, _ = self.shapes[node.name]
        return height * width * node.weight.numel()

    def bit_operations(self, node: Weighted) -> int:
        """Products of single bits: multiplications times the bits of weight and input."""
        return self.multiplications(node) * node.weight_format.bits * node.input.bits

    def tensors(self) -> dict[str, Tensor]:
        """``NODE.weight`` and ``NODE.bias`` in integers: int32, or int64 where they need it."""
        found: dict[str, Tensor] = {}
        for node in self.weighted:
            for part, value in (("weight", node.weight), ("bias", node.bias)):
                small = int(value.abs().max()) < 2**31
                found[f"{node.name}.{part}"] = value.int() if small else value
        return found

    def about(self) -> str:
        """All but the tensors as JSON: with ``tensors`` the whole model. Equal models, one text."""
        about = {
            "version": _VERSION,
            "shape": list(self.shape),
            "input": dataclasses.asdict(self.input),
            "nodes": [_written(node) for node in self.nodes],
        }
        return json.dumps(about, sort_keys=True)

    @classmethod
    def join(cls, about: str, tensors: Mapping[str, Tensor]) -> QuantisedModel:
        """The inverse of ``about`` and ``tensors``. Raises ``ValueError`` for anything else."""
        try:
            value: dict[str, Any] = parse_json(about)
            if value["version"] != _VERSION:
                raise ValueError(
                    f"about is of version {value['version']}; expected {_VERSION}: write it again"
                )
            nodes = tuple(_read(entry, tensors) for entry in value["nodes"])
            height, width, channels = value["shape"]
            return cls((height, width, channels), _grid("input", value["input"]), nodes)
        except KeyError as error:
            raise ValueError(f"about lacks {error}; expected a model's description") from error
        except TypeError as error:
            raise ValueError(f"about: {error}; expected a model's description") from error

    @classmethod
    def read(cls, path: Path, prefix: str = "") -> QuantisedModel:
        """The model in a safetensors file: tensors below ``prefix``, the rest in its metadata.

        Raises ``ValueError`` for a file that is broken, or holds anything else.
        """
        try:
            with safe_open(path, "pt") as file:
                about = (file.metadata() or {}).get("quantised")
                tensors = {
                    name.removeprefix(prefix): file.get_tensor(name)
                    for name in file.keys()  # noqa: SIM118  no mapping, it has keys alone
                    if name.startswith(prefix)
                }
        except SafetensorError as error:
            raise ValueError(f"{path}: broken ({error}); expected a model's file") from error
        if about is None:
            raise ValueError(f"{path}: its metadata has no 'quantised'; expected a description")
        return cls.join(about, tensors)


def _written(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": node.kind}
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if field.name in _TENSORS:
            continue
        if isinstance(value, FixedPoint):
            value = dataclasses.asdict(value)
        found[field.name] = list(value) if isinstance(value, tuple) else value
    return found


def _read(entry: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Node:
    kind = _KINDS.get(entry["kind"])
    if kind is None:
        raise ValueError(
            f"kind of {entry['name']} is {entry['kind']!r}; expected one of {', '.join(_KINDS)}"
        )
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.name in _TENSORS:
            values[field.name] = tensors[f"{entry['name']}.{field.name}"].long()
            continue
        value = entry[field.name]
        grid, may_lack = _GRIDS.get(str(field.type), (False, False))
        if grid and not (may_lack and value is None):
            value = _grid(f"{field.name} of {entry['name']}", value)
        values[field.name] = tuple(value) if isinstance(value, list) else value
    made: Node = kind(**values)
    return made


def _grid(what: str, value: Any) -> FixedPoint:
    """A file's grid. Raises ``ValueError`` for parts that are not of their types."""
    expected = "expected whole bits and fraction, signed true or false"
    if not isinstance(value, dict) or value.keys() != {"bits", "fraction", "signed"}:
        raise ValueError(f"{what} is {value!r}; {expected}")
    whole = is_whole(value["bits"], 1) and isinstance(value["fraction"], int)
    if not whole or not isinstance(value["signed"], bool):
        raise ValueError(f"{what} is {value}; {expected}")
    return FixedPoint(**value)

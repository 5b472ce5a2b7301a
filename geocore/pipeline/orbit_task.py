"""What an ensemble learns, what it is asked, and the transformations of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.groups.orbit import orbit
from geocore.groups.planar_action import moved
from geocore.runs.digest import digest_bytes, digest_json
from geocore.testing import Group

__all__ = ["OrbitTask", "PartOf", "Turned"]


class Turned:
    """``C_n`` on images ``(..., size, size)``, ``n`` a multiple of 4: the quarter turns exactly.

    Element ``k`` is a turn by ``360 k / n`` degrees, made as a turn of less than 90 degrees, which
    interpolates, and then quarter turns, which permute pixels: so these permute the orbit of an
    image exactly, and ``C_4`` is a symmetry of it where ``C_n`` is one up to interpolation.
    """

    def __init__(self, n: int) -> None:
        if n < 4 or n % 4:
            raise ValueError(f"n is {n}; expected a multiple of 4")
        self.group, self.name = PlanarGroup(n), f"C{n} on images"

    def __iter__(self) -> Iterator[int]:
        return iter(self.group)

    def act(self, element: int, x: Tensor) -> Tensor:
        """``x`` turned counter-clockwise."""
        quarters, rest = divmod(element, self.group.n // 4)
        turned: Tensor = moved(self.group, rest, x).rot90(quarters, (-2, -1))
        return turned


class PartOf:
    """Some elements of a group, by their places in it: a subgroup, or a sample."""

    def __init__(self, group: Group, places: Tensor, name: str) -> None:
        self.group, self.name = group, name
        elements = list(group)
        self.elements = [elements[place] for place in places.tolist()]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.elements)

    def act(self, element: Any, x: Tensor) -> Tensor:
        """As the whole group acts."""
        return self.group.act(element, x)


@dataclass(frozen=True)
class OrbitTask:
    """Samples, questions, and a group that acts on both.

    ``inputs (n, *shape)`` float64 and ``targets``: classes ``(n,)`` int64, or numbers ``(n,
    outputs)`` float64. ``asked`` are inputs by their kind, ``(any, *shape)``; those named ``test``
    have ``truth``. All questions are put under every element of ``turns``, the identity first.
    ``places`` names parts of it: what networks are ``trained`` on, whose full orbits they see; the
    ``exact`` one, which permutes (and negates) numbers, so that its law can hold to rounding; maybe
    a continuum. ``matrices (elements of turns, outputs, outputs)`` are the representation on
    outputs, None where they are invariant.
    """

    inputs: Tensor
    targets: Tensor
    asked: Mapping[str, Tensor]
    truth: Tensor
    turns: Group
    places: Mapping[str, Tensor]
    trained: str
    exact: str
    outputs: int
    matrices: Tensor | None = None

    @property
    def classifies(self) -> bool:
        """Whether the targets are classes."""
        return not self.targets.is_floating_point()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input."""
        return tuple(self.inputs.shape[1:])

    @property
    def order(self) -> int:
        """Of the exact group."""
        return len(self.places[self.exact])

    def part(self, name: str) -> PartOf:
        """The part of that name, acting on inputs."""
        return PartOf(self.turns, self.places[name], name)

    def act_out(self, place: int, y: Tensor) -> Tensor:
        """``rho(g) y`` of targets ``(n, ...)`` for the element at that place of ``turns``."""
        return y if self.matrices is None else y @ self.matrices[place].to(y).T

    @cached_property
    def orbits(self) -> tuple[Tensor, Tensor]:
        """Of each sample its orbit under the trained part, and the targets: ``(n, order, ...)``."""
        places = self.places[self.trained].tolist()
        moved = orbit(self.part(self.trained), self.inputs)
        followed = torch.stack([self.act_out(place, self.targets) for place in places])
        return moved.transpose(0, 1).contiguous(), followed.transpose(0, 1).contiguous()

    @cached_property
    def questions(self) -> Tensor:
        """All that is asked, under every element: ``(elements, questions, *shape)``."""
        return orbit(self.turns, torch.cat(list(self.asked.values())))

    def rows(self, kind: str) -> slice:
        """Where the questions of a kind stand."""
        start = 0
        for name, inputs in self.asked.items():
            if name == kind:
                return slice(start, start + len(inputs))
            start += len(inputs)
        raise KeyError(kind)

    @cached_property
    def digest(self) -> str:
        """Of all numbers that a training or an answer depends on."""
        x, y = self.orbits
        held = {"x": x, "y": y, "inputs": self.inputs, "questions": self.questions}
        told = {
            name: [list(value.shape), digest_bytes(value.contiguous().numpy().tobytes())]
            for name, value in held.items()
        }
        return digest_json({**told, "exact": self.places[self.exact].tolist()})

"""When each word passes, if nobody ever has to wait for a reader: cycles without a simulation.

In each module a word passes a cycle at most and no sooner than what it needs: its time is
``t_k = max(t_{k-1} + 1, a_k)``, which is ``k + max_{j <= k} (a_j - j)``, one running maximum over
all the words of a node at once. What ``geocore.edge.dataflow`` follows as well, and this leaves
out, is that a full queue or a waiting reader holds its writer back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocore.edge.description import QuantisedModel
from geocore.edge.nodes import IMAGES, Add, Concatenate, Convolution, Dense, MaxPool, Node, Upsample

__all__ = ["Cycles", "unhindered_cycles"]

Times = npt.NDArray[np.int64]  # (images, height, width): the cycle in which each word is there
_IMAGES = 3  # that are streamed; the interval is that of the last two


@dataclass(frozen=True)
class Cycles:
    """From the first pixel to the last word, and from one image's last word to the next one's."""

    latency: int
    interval: int


def unhindered_cycles(
    model: QuantisedModel,
    latency: Mapping[str, int],
    lanes: Mapping[str, int],
    queues: Collection[tuple[str, str]] = (),
) -> Cycles:
    """Of images streamed back to back, with queues as long as they need to be.

    ``latency`` of each node with a kernel of adders, ``lanes`` of each dense node that shares its
    multipliers, ``queues`` the edges that have one: a word is a cycle in it. Where no reader holds
    its writer back, this is what ``geocore.edge.dataflow.flow`` finds; a network that begins
    with an upsampling before a padded convolution takes its first pixel later than is known here.
    """
    height, width, _ = model.shape
    count = _IMAGES * height * width
    times = {IMAGES: np.arange(count, dtype=np.int64).reshape(_IMAGES, height, width)}
    for node in model.nodes:
        given = [times[name] + ((name, node.name) in queues) for name in node.sources]
        times[node.name] = _node(node, given, model, latency, lanes)
    ends = times[model.nodes[-1].name][:, -1, -1]
    first = max(_first(node, model) for node in model.nodes if IMAGES in node.sources)
    return Cycles(int(ends[0]) - first, int(ends[-1] - ends[-2]))


def _first(node: Node, model: QuantisedModel) -> int:
    """When a reader of the images takes the first pixel: behind the padding before it."""
    if isinstance(node, Convolution):
        above, _, left, right = node.padding
        return above * (model.shape[1] + left + right) + left
    return node.factor - 1 if isinstance(node, Upsample) else 0


def _node(
    node: Node,
    given: list[Times],
    model: QuantisedModel,
    latency: Mapping[str, int],
    lanes: Mapping[str, int],
) -> Times:
    if isinstance(node, Convolution):
        return _in_turn(_window(node, given[0]) + latency[node.name] + 1)
    if isinstance(node, Dense) and node.name in lanes:
        channels = model.shapes[node.sources[0]][2]
        return _dense(given[0], -(-channels // lanes[node.name]))
    if isinstance(node, Dense):
        return _in_turn(given[0] + latency[node.name] + 1)
    if isinstance(node, MaxPool):
        return _pool(given[0], node.size)
    if isinstance(node, Upsample):
        return _upsample(given[0], node.factor)
    assert isinstance(node, (Add, Concatenate))
    return _in_turn(np.maximum.reduce(given)) + 1


def _in_turn(there: Times) -> Times:
    """One a cycle, in their order, none before it is there."""
    flat = there.reshape(-1)
    places = np.arange(len(flat))
    turn: Times = (np.maximum.accumulate(flat - places) + places).reshape(there.shape)
    return turn


def _window(node: Convolution, given: Times) -> Times:
    """A position of the padded image a cycle; those of the padding wait for nothing."""
    rows, columns = node.weight.shape[2:]
    above, below, left, right = node.padding
    padded = np.pad(given, ((0, 0), (above, below), (left, right)), constant_values=-1)
    taken = _in_turn(padded)
    step = node.stride
    return taken[:, rows - 1 :: step, columns - 1 :: step] + 1


def _pool(given: Times, size: int) -> Times:
    """With its square's last pixel."""
    taken = _in_turn(given)
    height, width = (n // size * size for n in given.shape[1:])
    return taken[:, size - 1 : height : size, size - 1 : width : size] + 1


def _upsample(given: Times, factor: int) -> Times:
    """A row as it comes, its copies behind it: a word a cycle of all of them."""
    images, height, width = given.shape
    there = np.full((images, height, factor, width, factor), -1, dtype=np.int64)
    there[:, :, 0] = given[..., None]
    return _in_turn(there).reshape(images, height * factor, width * factor)


def _dense(given: Times, steps: int) -> Times:
    """``steps`` cycles a word, then three registers and the output's own."""
    # The last step of a word and the next word's entry share a cycle.
    flat = given.reshape(-1)
    places = np.arange(len(flat)) * steps
    entry = np.maximum.accumulate(flat - places) + places
    ends = entry.reshape(len(given), -1)[:, -1] + steps
    done: Times = (ends + 4).reshape(len(given), 1, 1)
    return done

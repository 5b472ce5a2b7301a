"""What hls4ml gets wrong is refused by name; what it gives is held against the reference."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, Add, Concatenate, Convolution, Dense, MaxPool, Node, Upsample
from geocore.edge.preflight import corner_images, preflight, self_check
from geocore.errors import UserError
from tests.edge.firmwares import STREAM, compiled
from tests.edge.networks import branched

GRID = FixedPoint(4, 1, signed=True)


def convolution(
    name: str, source: str, *shape: int, output: FixedPoint = GRID, **about: Any
) -> Convolution:
    weight = torch.randint(-7, 8, shape, generator=torch.Generator().manual_seed(0))
    bias = torch.zeros(shape[0], dtype=torch.int64)
    return Convolution(name, (source,), weight, bias, GRID, GRID, output, **about)


def dense(name: str, source: str, *shape: int) -> Dense:
    weight, bias = torch.ones(shape, dtype=torch.int64), torch.zeros(shape[0], dtype=torch.int64)
    return Dense(name, (source,), weight, bias, GRID, GRID, GRID)


def model(*nodes: Node, shape: tuple[int, int, int] = (4, 4, 2)) -> QuantisedModel:
    return QuantisedModel(shape, GRID, nodes)


EIGHT = tuple(convolution(f"c{place}", IMAGES, 2, 2, 1, 1) for place in range(8))
VECTOR = dense("d", IMAGES, 3, 32)
JOINED = Concatenate("j", ("d", "d"), GRID)


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (model(convolution("a-b", IMAGES, 2, 2, 1, 1)), {}, r"^'a-b' is a node's name; expected "),
        (model(convolution("2a", IMAGES, 2, 2, 1, 1)), {}, r"^'2a' is a node's name; expected "),
        (model(convolution("input", IMAGES, 2, 2, 1, 1)), {}, r"^'input' is a node's name; expec"),
        (model(convolution("Dense_a", IMAGES, 2, 2, 1, 1)), {}, r"^'Dense_a' is .* not input, Co"),
        (model(MaxPool("p", (IMAGES,), 1)), {}, r"^the network has no node that changes anything"),
        (
            model(VECTOR, convolution("c", "d", 2, 3, 1, 1)),
            {},
            r"^c \(convolution\) reads d, which is a vector; expected an image: in place of the",
        ),
        (model(VECTOR, JOINED, Upsample("u", ("j",))), {}, r"^u \(upsample\) reads j, which is a "),
        (
            model(*EIGHT, Add("s", tuple(node.name for node in EIGHT), GRID)),
            {},
            r"^images is read 8 times; expected at most 7 with io_stream: let some of",
        ),
        (
            model(convolution("c", IMAGES, 2, 2, 1, 3, stride=2)),
            {},
            r"^c has a kernel of one row and stride 2, of which hls4ml drops rows with io_stream",
        ),
        (
            model(dense("d", IMAGES, 130, 32)),
            {},
            r"^d has 4160 products at once; expected at most 4096, which is what a vendor's compi"
            r"ler unrolls: take strategy Resource with a reuse factor of at least 2$",
        ),
        (
            model(dense("d", IMAGES, 260, 32)),
            {"strategy": "Resource", "reuse_factors": {"d": 2}},
            r"^d has 4160 products at once; .* take a reuse factor of at least 3$",
        ),
        (
            model(dense("d", IMAGES, 4200, 32)),
            {"strategy": "Resource", "reuse_factor": 1000},
            r"^d has 4200 products at once; .* take fewer outputs than 4200: no reuse factor is ",
        ),
        (
            model(
                convolution("a", IMAGES, 2, 2, 1, 1),
                convolution("b", IMAGES, 2, 2, 1, 1, output=FixedPoint(4, 7, signed=False)),
                Concatenate("j", ("a", "b"), FixedPoint(4, 2, signed=True)),
            ),
            {},
            r"^j rounds all of b \(ufixed<4,-3>\) to zero on its grid \(fixed<4,2>\), which hls4ml",
        ),
        (model(VECTOR), {"reuse_factors": {"e": 2}}, r"^reuse_factors has e; expected one of d$"),
        (model(VECTOR), {"reuse_factor": 0}, r"^reuse factor of d is 0; expected at least 1$"),
    ],
)  # fmt: skip
def test_refused(network: QuantisedModel, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        preflight(network, dataclasses.replace(STREAM, **options))


def test_not_refused() -> None:
    preflight(branched(), STREAM)
    # Only where data are streamed.
    parallel = dataclasses.replace(STREAM, io_type="io_parallel")
    preflight(model(convolution("c", IMAGES, 2, 2, 1, 3, stride=2)), parallel)
    preflight(model(*EIGHT, Add("s", tuple(node.name for node in EIGHT), GRID)), parallel)
    preflight(model(convolution("c", IMAGES, 2, 2, 3, 1, stride=2)), STREAM)
    preflight(model(convolution("c", IMAGES, 2, 2, 1, 1, stride=2)), STREAM)
    # A vector may be added and joined, and a pool by 1 is no layer.
    preflight(model(VECTOR, JOINED, MaxPool("p", ("j",), 1)), STREAM)
    resource = dataclasses.replace(STREAM, strategy="Resource", reuse_factor=2)
    preflight(model(dense("d", IMAGES, 256, 32)), resource)


def test_corners() -> None:
    found = corner_images(model(VECTOR), 40) / GRID.step
    assert (found[0] == -8).all() and (found[1] == 7).all()
    assert set(found[2].unique().tolist()) == {-8, 7}
    assert found.unique().tolist() == list(range(-8, 8))
    assert torch.equal(found, corner_images(model(VECTOR), 40) / GRID.step)
    ends = ((found[3:] == -8) | (found[3:] == 7)).double().mean()
    assert float(ends) == pytest.approx(1 / 3 + 2 / 3 / 8, abs=0.05)  # of 1,184 numbers


def test_a_firmware_that_differs_is_told_of(tmp_path: Path) -> None:
    right = branched()
    firmware = compiled(right, tmp_path, trace=True)
    self_check(firmware, right)
    last = right.weighted[-2]
    bias = last.bias.clone()
    bias[0] += 40
    wrong = dataclasses.replace(last, bias=bias)
    nodes = tuple(wrong if node is last else node for node in right.nodes)
    with pytest.raises(UserError, match=r"^hls4ml: first is not the reference's: the firmware di"):
        self_check(firmware, dataclasses.replace(right, nodes=nodes))


def test_a_firmware_without_trace_too(tmp_path: Path) -> None:
    right = model(convolution("c", IMAGES, 1, 2, 1, 1))
    firmware = compiled(right, tmp_path)
    self_check(firmware, right)
    wrong = model(dataclasses.replace(right.weighted[0], bias=torch.tensor([4])))
    message = r"^hls4ml: c is not .* on 1?\d of 16 images by up to \d+ units in .*; expected equal"
    with pytest.raises(UserError, match=message):
        self_check(firmware, wrong)

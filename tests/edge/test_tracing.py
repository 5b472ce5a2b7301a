"""Tracing: the graph says what the module says, and whatever it would not say is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.edge.float_graph import FloatConvolution, FloatDense
from geocore.edge.nodes import MaxPool
from geocore.edge.street_cnn import build_street_cnn
from geocore.edge.tracing import trace
from geocore.errors import UserError
from tests.edge.random_modules import random_images, random_module, refusals

SHAPE = (8, 6, 3)


class Net(nn.Module):
    """Layers in a row, of images whose channels come first."""

    def __init__(self, *layers: nn.Module, head: bool = False) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.layers(images.permute(0, 3, 1, 2))
        return found if self.head else found.permute(0, 2, 3, 1)


class Written(nn.Module):
    """A forward that is given as a function of the module's layers and of images."""

    def __init__(self, forward: Callable[[Written, Tensor], object]) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)
        with torch.no_grad():
            self.norm.bias.fill_(0.5)
        self.bare = nn.Parameter(torch.ones(1))
        self._forward = forward

    def forward(self, images: Tensor) -> object:
        return self._forward(self, images.permute(0, 3, 1, 2))


def last(value: Tensor) -> Tensor:
    return value.permute(0, 2, 3, 1)


@pytest.mark.parametrize("seed", range(40))
def test_a_random_module_is_itself_or_refused(seed: int) -> None:
    module, shape = random_module(seed)
    if module.refused is not None:
        with pytest.raises(UserError, match=r"^\S+: is .*; expected "):
            trace(module, shape)
        return
    before = {name: value.clone() for name, value in module.state_dict().items()}
    graph = trace(module, shape)
    images = random_images(3, shape)
    after = module.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    # Both round in float64, in different orders: batch norms are folded.
    torch.testing.assert_close(graph.run(images), module.double()(images), atol=1e-12, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40, 400))
def test_more_random_modules(seed: int) -> None:
    test_a_random_module_is_itself_or_refused(seed)


def test_batch_norms_are_folded_and_relus_flagged() -> None:
    module = build_street_cnn(10, seed=1)
    module(torch.rand(16, 32, 32, 3))  # statistics that do something
    graph = trace(module, (32, 32, 3))
    assert [(node.name, node.kind.removeprefix("float_")) for node in graph.nodes] == [
        ("convolutions_0", "convolution"), ("max_pool2d", "max_pool"),
        ("convolutions_1", "convolution"), ("max_pool2d_2", "max_pool"),
        ("convolutions_2", "convolution"), ("max_pool2d_3", "max_pool"),
        ("dense_0", "dense"), ("dense_1", "dense"), ("head", "dense"),
    ]  # fmt: skip
    assert [node.relu for node in graph.weighted] == [True] * 5 + [False]
    images = random_images(4, (32, 32, 3))
    wanted = module.eval().double()(images)
    torch.testing.assert_close(graph.run(images), wanted, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", sorted(refusals(3)))
def test_each_of_them_is_refused_by_its_name(name: str) -> None:
    layer = refusals(3)[name]
    with pytest.raises(UserError) as error:
        trace(Net(layer, nn.ReLU()), SHAPE)
    (line,) = error.value.lines
    named = name == "traceable" or line.startswith("layers.0")
    assert named and "; expected " in line and len(line) < 200


CASES: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "dilation": (
        lambda: Net(nn.Conv2d(3, 2, 3, dilation=2)),
        r"layers\.0: is a convolution of dilation \(2, 2\); expected \(1, 1\): a larger kernel",
    ),
    "groups": (
        lambda: Net(nn.Conv2d(3, 3, 3, groups=3)),
        r"layers\.0: is a convolution of 3 groups; expected 1: an ordinary convolution",
    ),
    "bilinear": (
        lambda: Net(nn.Upsample(scale_factor=2, mode="bilinear")),
        r"layers\.0: is an upsampling of mode bilinear; expected nearest",
    ),
    "half": (
        lambda: Net(nn.Upsample(scale_factor=1.5)),
        r"layers\.0: is an upsampling by 1\.5 x 1\.5; expected one whole factor for both",
    ),
    "PReLU": (lambda: Net(nn.PReLU()), r"layers\.0: is a PReLU; expected ReLU"),
    "activation": (
        lambda: Written(lambda m, x: last(torch.sigmoid(m.one(x)))),
        r"sigmoid: is a sigmoid; expected ReLU",
    ),
    "norm of a sum": (
        lambda: Written(lambda m, x: last(m.norm(m.one(x) + m.two(x)))),
        r"norm: is a batch norm that Written reads; expected it directly after a convolution",
    ),
    "norm between": (
        lambda: Written(lambda m, x: last(m.one(m.norm(F.max_pool2d(m.two(x), 2))))),
        r"norm: is a batch norm before one, which pads; expected padding 0 there",
    ),
    "read twice": (
        lambda: Written(lambda m, x: last(F.relu(m.one(x)) + m.one(x).relu() + m.two(x))),
        "",  # taken: three calls, each read once
    ),
    "relu of a value that is read": (
        lambda: Written(lambda m, x: (lambda y: last(F.relu(y) + m.two(y)))(m.one(x))),
        r"relu: is a ReLU of one, which other layers read too; expected to be its only reader",
    ),
    "nobody reads": (
        lambda: Written(lambda m, x: (m.two(x), last(m.one(x)))[1]),
        r"two: is a layer that nobody reads; expected a forward without loose ends",
    ),
    "control flow": (
        lambda: Written(lambda m, x: last(m.one(x)) if x.mean() > 0 else x),
        r"Written: is not traceable \(symbolically traced variables",
    ),
    "constant": (
        lambda: Written(lambda m, x: last(m.one(x) + 1)),
        r"add: is a sum with a constant; expected a sum of two layers' values",
    ),
    "held": (
        lambda: Written(lambda m, x: last(m.one(x) + m.bare)),
        r"add: is a function of the tensor bare; expected of layers' values",
    ),
    "two values": (
        lambda: Written(lambda m, x: (last(m.one(x)), last(m.two(x)))),
        r"Written: is a function of another value; expected one tensor of logits",
    ),
    "channels first": (
        lambda: Written(lambda m, x: m.one(x)),
        r"Written: is a value whose channels are not its last axis; expected logits",
    ),
    "spread": (
        lambda: Written(lambda m, x: last(m.one(x) + F.max_pool2d(x, 6))),
        r"add: is a sum of shapes \(8, 6, 3\) and \(1, 1, 3\); expected one shape",
    ),
    "rows": (
        lambda: Written(lambda m, x: last(torch.cat((m.one(x), m.two(x)), 2))),
        r"cat: is a concatenation over axis 2; expected channels",
    ),
    "channels last given": (
        lambda: Written(lambda m, x: m.one(last(x))),
        r"one: is given axes \(n, h, w, c\); expected \(n, c, h, w\)",
    ),
    "slice": (
        lambda: Written(lambda m, x: last(m.one(x)[:, :2])),
        r"getitem: is a part of a value; expected whole values",
    ),
    "mean": (lambda: Written(lambda m, x: m.one(x).mean((2, 3))), r"mean: is a mean; expected"),
    "dropout": (
        lambda: Written(lambda m, x: last(F.dropout(m.one(x), 0.5))),
        r"dropout: is a dropout that is always on; expected training=self\.training",
    ),
    "no layer": (lambda: Written(lambda m, x: last(x)), r"Written: nodes are none"),
    "narrow": (
        lambda: Net(nn.Conv2d(2, 2, 1)),
        r"layers\.0: is a convolution of 2 channels; expected the 3 it is given",
    ),
    "too deep": (
        lambda: Net(nn.MaxPool2d(7)),
        r"layers\.0: .* would give a value of shape \(1, 0, 3\); expected none empty",
    ),
    "numbers": (
        lambda: Net(nn.Flatten(), nn.Linear(9, 2), head=True),
        r"layers\.1: is a linear map of 9 numbers; expected 144",
    ),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_what_is_refused_says_where_and_what_to_do(case: str) -> None:
    make, message = CASES[case]
    if not message:
        trace(make(), SHAPE)
        return
    with pytest.raises(UserError, match=f"^{message}"):
        trace(make(), SHAPE)


def test_a_pruned_layer_and_its_hook_are_refused() -> None:
    module = Net(nn.Conv2d(3, 2, 3))
    module.layers[0].register_forward_hook(lambda layer, given, found: found * 2)
    with pytest.raises(UserError, match=r"^layers\.0: is a layer with hooks; expected none"):
        trace(module, SHAPE)


def test_a_layer_that_lies_about_itself_is_found_out() -> None:
    class Doubled(nn.Conv2d):
        def _conv_forward(self, given: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            found: Tensor = super()._conv_forward(given, weight, bias)
            return 2 * found

    class Reported(nn.ReLU):
        """Another forward behind the class' own back."""

        def __call__(self, given: Tensor) -> Tensor:
            return F.relu(given) + 1

    with pytest.raises(UserError, match=r"^layers\.0: is a Doubled; expected"):
        trace(Net(Doubled(3, 2, 3)), SHAPE)
    with pytest.raises(UserError):
        trace(Net(nn.Conv2d(3, 2, 3), Reported()), SHAPE)


def test_zeros_and_norms_go_into_the_convolution_that_reads_them() -> None:
    norm, pad = nn.BatchNorm2d(3), nn.ZeroPad2d((1, 0, 2, 0))
    with torch.no_grad():
        norm.bias.fill_(0.5)
    convolution = nn.Conv2d(3, 4, 3, stride=2)
    # Zeros around the raw image are pixels to the norm as any other; trace compares the two.
    (node,) = trace(Net(pad, norm, convolution), SHAPE).nodes
    assert isinstance(node, FloatConvolution)
    assert (node.padding, node.stride) == ((2, 0, 1, 0), 2)
    # Zeros around what the norm gives are none to the raw image.
    with pytest.raises(UserError, match=r"layers\.0: is a batch norm that layers\.1 reads"):
        trace(Net(norm, pad, convolution), SHAPE)


def test_both_flattenings_give_one_order_of_columns() -> None:
    class Flat(nn.Module):
        def __init__(self, channels_last: bool, linear: nn.Linear) -> None:
            super().__init__()
            self.channels_last, self.linear = channels_last, linear

        def forward(self, images: Tensor) -> Tensor:
            if not self.channels_last:
                images = images.permute(0, 3, 1, 2)
            found: Tensor = self.linear(images.flatten(1))
            return found

    linear = nn.Linear(144, 2)
    (first,), (second,) = (trace(Flat(way, linear), SHAPE).nodes for way in (True, False))
    assert isinstance(first, FloatDense) and isinstance(second, FloatDense)
    assert torch.equal(first.weight, linear.weight.double())
    wanted = linear.weight.double().reshape(2, 3, 8, 6).permute(0, 2, 3, 1).flatten(1)
    assert torch.equal(second.weight, wanted)


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "flatten": lambda x: torch.flatten(x, 1),
    "method": lambda x: x.flatten(start_dim=1),
    "view of a size": lambda x: x.view(x.size(0), -1),
    "view of a shape": lambda x: x.contiguous().view(x.shape[0], -1),
    "view of sizes": lambda x: x.reshape(x.size()[0], x.size(1) * x.shape[2] * x.shape[3]),
    "view of numbers": lambda x: x.reshape(-1, 144),
    "tuple": lambda x: torch.reshape(x, (x.shape[0], 144)),
}


@pytest.mark.parametrize("name", sorted(VIEWS))
@pytest.mark.parametrize("turned", [False, True])
def test_every_way_to_flatten(name: str, turned: bool) -> None:
    class Viewed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(144, 2)

        def forward(self, images: Tensor) -> Tensor:
            given = torch.permute(images, (0, 3, 1, 2)) if turned else images
            found: Tensor = self.linear(VIEWS[name](given.contiguous()))
            return found

    # trace compares: columns in another order would be found out.
    (node,) = trace(Viewed(), SHAPE).nodes
    assert node.name == "linear"


def test_a_view_of_anything_else_is_refused() -> None:
    module = Written(lambda m, x: m.one(x).reshape(-1, 3))
    with pytest.raises(
        UserError, match=r"^reshape: is a reshaping to -1, 3; expected flatten\(1\)"
    ):
        trace(module, SHAPE)


def test_a_linear_map_of_channels_is_a_convolution_of_one_pixel() -> None:
    class Pixels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, images: Tensor) -> Tensor:
            found: Tensor = self.linear(images)
            return found

    (node,) = trace(Pixels(), SHAPE).nodes
    assert isinstance(node, FloatConvolution) and node.weight.shape == (2, 3, 1, 1)


def test_a_layer_called_twice_is_two_nodes() -> None:
    graph = trace(Written(lambda m, x: last(m.one(F.max_pool2d(m.one(x), 2)))), SHAPE)
    assert [node.name for node in graph.nodes] == ["one", "max_pool2d", "one_2"]
    assert isinstance(graph.nodes[1], MaxPool)


def test_a_sum_in_place_that_another_layer_sees_is_found_out() -> None:
    def forward(module: Written, images: Tensor) -> Tensor:
        value = module.one(images)
        before = value
        value += module.two(images)
        return last(value + before)  # which are one tensor, unless it is traced

    with pytest.raises(UserError, match=r"^Written: is another function of random images than"):
        trace(Written(forward), SHAPE)


def test_a_shape_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"shape is \(8, 0, 3\); expected \(height, width, chann"):
        trace(Net(nn.ReLU()), (8, 0, 3))

"""Convolutions and pooling with the samples last are those of torch, gradients too."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from geocore.ensembles.planes import by_plane, convolve, is_plain, maxima_first, pools

F64 = torch.float64


def images(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(*shape, dtype=F64, generator=generator).requires_grad_()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 4, 3),
        nn.Conv2d(3, 4, (3, 2), padding=(1, 2), bias=False),
        nn.Conv2d(3, 4, (2, 3), stride=(2, 3), padding=1),
        nn.Conv2d(3, 4, 2, stride=3, dilation=(2, 1)),
        nn.Conv2d(3, 4, 1),
    ],
    ids=str,
)
def test_a_convolution_is_that_of_each_member(layer: nn.Conv2d) -> None:
    assert is_plain(layer)
    x = images(2, 3, 7, 8, 5)  # members, channels, rows, columns, samples
    own = {name: images(2, *p.shape) for name, p in layer.named_parameters()}
    found = convolve(layer, own, x)
    members = [
        torch.func.functional_call(
            layer.double(), {name: p[k] for name, p in own.items()}, (x[k].movedim(-1, 0),)
        )
        for k in range(2)
    ]
    expected = torch.stack(members).movedim(1, -1)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    weights = images(*expected.shape).detach()
    for inputs in ((x, *own.values()), tuple(own.values())):  # the first layer's data need none
        ours = torch.autograd.grad((weights * found).sum(), inputs, retain_graph=True)
        theirs = torch.autograd.grad((weights * expected).sum(), inputs, retain_graph=True)
        for one, two in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, two, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    "pool",
    [nn.MaxPool2d(2), nn.AvgPool2d((2, 3), stride=(3, 2)), nn.MaxPool2d(2, dilation=2)],
    ids=str,
)
@pytest.mark.parametrize("settings", [{}, {"stride": 2, "padding": 1, "dilation": 2}], ids=str)
def test_what_no_window_reaches_is_left_out(pool: nn.Module, settings: dict[str, int]) -> None:
    layer = nn.Conv2d(3, 2, 2, **settings).double()  # type: ignore[arg-type]
    x = images(1, 3, 12, 13, 4)
    own = {name: p.detach()[None].requires_grad_() for name, p in layer.named_parameters()}
    whole, part = convolve(layer, own, x), convolve(layer, own, x, after=pool)
    assert part.numel() < whole.numel()
    grads = []
    for y in (whole, part):
        out = by_plane(pool, y)
        loss = (images(*out.shape).detach() * out).sum()
        grads.append((out, *torch.autograd.grad(loss, (x, *own.values()))))
    for one, two in zip(*grads, strict=True):
        torch.testing.assert_close(one, two, atol=1e-13, rtol=0)


@pytest.mark.parametrize(
    "after", [nn.MaxPool2d(2, ceil_mode=True), nn.AvgPool2d(2, padding=1), nn.Tanh()], ids=str
)
def test_and_nothing_else_is(after: nn.Module) -> None:
    layer, x = nn.Conv2d(1, 2, 2).double(), images(1, 1, 6, 6, 3)
    own = {name: p.detach()[None] for name, p in layer.named_parameters()}
    assert convolve(layer, own, x, after=after).shape == (1, 2, 5, 5, 3)


def test_data_without_gradients() -> None:
    layer = nn.Conv2d(1, 2, 3).double()
    own = {name: p.detach()[None].requires_grad_() for name, p in layer.named_parameters()}
    x = images(1, 1, 5, 5, 4).detach()
    convolve(layer, own, x).square().sum().backward()
    layer(x[0].movedim(-1, 0)).square().sum().backward()
    for name, p in layer.named_parameters():
        grad = own[name].grad
        assert grad is not None and p.grad is not None
        torch.testing.assert_close(grad[0], p.grad, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    "layer",
    [
        nn.MaxPool2d(2), nn.MaxPool2d(3, stride=2, padding=1), nn.MaxPool2d(2, ceil_mode=True),
        nn.AvgPool2d(2), nn.AvgPool2d((3, 2), stride=1),
    ],
    ids=str,
)  # fmt: skip
def test_pooling_is_that_of_each_member(layer: nn.Module) -> None:
    assert pools(layer)
    x = images(2, 3, 7, 5, 4)
    found = by_plane(layer, x)
    expected = torch.stack([layer(member.movedim(-1, 0)) for member in x]).movedim(1, -1)
    assert torch.equal(found, expected)
    weights = images(*expected.shape).detach()
    ours, theirs = (
        torch.autograd.grad((weights * y).sum(), x, retain_graph=True)[0] for y in (found, expected)
    )
    torch.testing.assert_close(ours, theirs, atol=1e-14, rtol=0)


def test_a_maximum_before_a_relu_changes_no_number() -> None:
    layers = [("a", nn.Tanh()), ("b", nn.ReLU()), ("c", nn.MaxPool2d(2)), ("d", nn.ReLU())]
    moved = maxima_first(layers)
    assert [name for name, _ in moved] == ["a", "c", "b", "d"]
    x = images(1, 1, 6, 6).detach()
    x[0, 0, :2, :2] = 0.5  # equal ones
    x[0, 0, 2:4, :2] = -0.5  # none above zero
    x[0, 0, 4:, 4:] = torch.tensor([[-1.0, 0.3], [0.3, 0.0]])
    grads = []
    for chain in (layers, moved):
        leaf = x.clone().requires_grad_()
        out = nn.Sequential(*[layer for _, layer in chain])(leaf)
        (images(*out.shape).detach() * out).sum().backward()
        grads.append((out, leaf.grad))
    assert torch.equal(grads[0][0], grads[1][0])
    assert grads[0][1] is not None and grads[1][1] is not None
    assert torch.equal(grads[0][1], grads[1][1])


def test_what_stays_where_it_is() -> None:
    watched = nn.ReLU()
    watched.register_forward_hook(lambda module, given, out: None)
    for first, second in (
        (watched, nn.MaxPool2d(2)),
        (nn.ReLU(), nn.AvgPool2d(2)),
        (nn.Tanh(), nn.MaxPool2d(2)),
        (nn.ReLU(), nn.MaxPool2d(2, return_indices=True)),
    ):
        assert maxima_first([("a", first), ("b", second)]) == [("a", first), ("b", second)]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 2, 3, groups=2), nn.Conv2d(1, 1, 3, padding="same"), nn.Conv1d(1, 1, 3),
        nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), nn.Linear(2, 2),
        nn.MaxPool2d(2, return_indices=True), nn.MaxPool1d(2),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_unknown(layer: nn.Module) -> None:
    assert not is_plain(layer) and not pools(layer)

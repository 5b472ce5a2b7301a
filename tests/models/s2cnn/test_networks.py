"""The networks have the published size, turn with their input, and learn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from geocore.models.s2cnn.activation import SO3Activation
from geocore.models.s2cnn.kernels import KernelGrid
from geocore.models.s2cnn.layout import Layout
from geocore.models.s2cnn.networks import S2CNNClassifier, S2CNNSegmenter
from geocore.models.s2cnn.norm import mean_square
from geocore.so3.s2_transform import S2Transform
from tests.models.s2cnn.signals import Angles, Rotations, relative_error, signal_s2

DOUBLE = torch.float64
BANDLIMIT = 8


def layout(**options: Any) -> Layout:
    return Layout(BANDLIMIT, (6, 7, 8), (8, 6, 4), **options)


def samples(count: int = 2) -> Tensor:
    f = signal_s2(count, 1, bandlimit=BANDLIMIT)
    return S2Transform(BANDLIMIT, dtype=DOUBLE).inverse(f).movedim(1, -1)


def pairs(count: int) -> Iterator[tuple[Angles, Tensor]]:
    """Rotations, and the rotated samples."""
    transform, group = S2Transform(BANDLIMIT, dtype=DOUBLE), Rotations("s2", count)
    f = signal_s2(2, 1, bandlimit=BANDLIMIT)
    for angles in group:
        yield angles, transform.inverse(group.act(angles, f)).movedim(1, -1)


class Cut(nn.Module):
    """What an activation leaves if its function is the identity."""

    def __init__(self, bandlimit: int) -> None:
        super().__init__()
        self.bandlimit = bandlimit

    def forward(self, f: Tensor) -> Tensor:
        b, middle = self.bandlimit, f.shape[-2]
        return f[..., :b, :b, middle - b : middle + b - 1]


def count_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_the_published_segmenter_has_204073_parameters() -> None:
    published = Layout.published_segmenter()
    assert count_parameters(S2CNNSegmenter(published, classes=11)) == 204_073
    reaches = [published.s2_kernel().betas[-1] / torch.pi]
    reaches += [published.so3_kernel(b).betas[-1] / torch.pi for b in published.bandlimits]
    expected = [0.1238, 0.1474, 0.1768, 0.2292, 0.3095, 0.2292, 0.1768, 0.1474]
    torch.testing.assert_close(torch.tensor(reaches), torch.tensor(expected), atol=2e-4, rtol=0)


# Three activations, full band: what remains of the bound 0.02 for one.
@pytest.mark.parametrize(
    ("activation", "norm", "bound"),
    [
        ("relu", "none", 0.01),
        ("silu", "sample", 0.001),
        ("gelu", "channel", 0.005),
        ("tensor_product", "sample", 1e-10),
    ],
)
def test_networks_turn_with_their_input(activation: Any, norm: Any, bound: float) -> None:
    made = layout(activation=activation, norm=norm)
    classifier = S2CNNClassifier(made, hidden=(9,), dtype=DOUBLE)
    segmenter = S2CNNSegmenter(made, classes=3, dtype=DOUBLE)
    logits, maps = classifier(samples()), segmenter(samples())
    assert logits.shape == (2, 10) and maps.shape == (2, 16, 16, 3)
    transform, group = S2Transform(BANDLIMIT, dtype=DOUBLE), Rotations("s2")
    plain = transform.forward(maps.movedim(-1, 1))
    for angles, turned in pairs(4):
        assert relative_error(classifier(turned), logits) <= bound
        found = transform.forward(segmenter(turned).movedim(-1, 1))
        assert relative_error(found, group.act(angles, plain)) <= bound


@pytest.mark.parametrize("norm", ["none", "sample", "channel"])
def test_networks_of_few_orders_turn_with_their_input(norm: Any) -> None:
    made = layout(orders=(3, 2, 2), norm=norm)
    classifier = S2CNNClassifier(made, hidden=(9,), dtype=DOUBLE)
    segmenter = S2CNNSegmenter(made, classes=3, dtype=DOUBLE)
    transform, group = S2Transform(BANDLIMIT, dtype=DOUBLE), Rotations("s2")
    logits, maps = classifier(samples()), segmenter(samples())
    assert logits.shape == (2, 10) and maps.shape == (2, 16, 16, 3)
    plain = transform.forward(maps.movedim(-1, 1))
    for angles, turned in pairs(4):
        assert relative_error(classifier(turned), logits) <= 0.02
        found = transform.forward(segmenter(turned).movedim(-1, 1))
        assert relative_error(found, group.act(angles, plain)) <= 0.02


def test_all_orders_kept_is_the_same_network() -> None:
    """With the same weights, and as many turns as the whole grid has."""
    same: dict[str, Any] = {"norm": "none", "oversampling": 1.5}
    whole = S2CNNSegmenter(Layout(4, (3, 4), (4, 4), **same), dtype=DOUBLE)
    few = S2CNNSegmenter(Layout(4, (3, 4), (4, 4), orders=(4, 4), **same), dtype=DOUBLE)
    for one, other in zip(few.parameters(), whole.parameters(), strict=True):
        one.data.copy_(other.data)
    x = S2Transform(4, dtype=DOUBLE).inverse(signal_s2(2, 1, bandlimit=4)).movedim(1, -1)
    torch.testing.assert_close(few(x), whole(x), atol=1e-12, rtol=0)


def test_kernels_are_those_of_all_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    plain = Layout.so3_kernel

    def noted(self: Layout, bandlimit: int) -> KernelGrid:
        asked.append(bandlimit)
        return plain(self, bandlimit)

    monkeypatch.setattr(Layout, "so3_kernel", noted)
    for orders in (None, (2, 2, 1)):
        S2CNNSegmenter(Layout(8, (3, 4, 2), (6, 4, 3), orders=orders))
    assert asked == 2 * [6, 4, 3], "two convolutions, and the way back to the sphere"


def test_linear_parts_are_exact() -> None:
    """Without activations the logits are invariant, and the maps equivariant, to rounding."""
    classifier = S2CNNClassifier(layout(), dtype=DOUBLE)
    segmenter = S2CNNSegmenter(layout(), dtype=DOUBLE)
    for model in (classifier, segmenter):
        model.layers = nn.Sequential(
            *(Cut(m.bandlimit_out) if isinstance(m, SO3Activation) else m for m in model.layers)
        )
    assert [m.bandlimit for m in classifier.layers if isinstance(m, Cut)] == [6, 4, 1]
    transform, group = S2Transform(BANDLIMIT, dtype=DOUBLE), Rotations("s2")
    logits, maps = classifier(samples()), segmenter(samples())
    plain = transform.forward(maps.movedim(-1, 1))
    for angles, turned in pairs(20):
        torch.testing.assert_close(classifier(turned), logits, atol=1e-10, rtol=0)
        found = transform.forward(segmenter(turned).movedim(-1, 1))
        torch.testing.assert_close(found, group.act(angles, plain), atol=1e-10, rtol=0)


@pytest.mark.parametrize("norm", ["none", "sample"])
def test_scale_stays_near_one(norm: Any) -> None:
    model = S2CNNSegmenter(Layout(BANDLIMIT, (16,) * 5, (8,) * 5, norm=norm), dtype=DOUBLE, seed=2)
    squares = []
    f = model.analysis.forward(samples(4).movedim(-1, 1))
    for part in model.layers:
        f = part(f)
        squares.append(float(mean_square(f).detach().mean()))
    assert all(0.1 < square < 10 for square in squares), squares


@pytest.mark.parametrize("activation", ["relu", "tensor_product"])
def test_gradients_reach_all_weights(activation: Any) -> None:
    made = layout(activation=activation, norm="sample")
    for model in (S2CNNClassifier(made), S2CNNSegmenter(made)):
        model(samples().float()).square().sum().backward()
        silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        assert not silent


def test_a_classifier_learns() -> None:
    """Two textures, told apart by their degrees: rotations and phases say nothing."""
    generator = torch.Generator().manual_seed(0)
    transform = S2Transform(BANDLIMIT, dtype=torch.float32)
    low, high = torch.zeros(8, 1), torch.zeros(8, 1)
    low[1:4], high[4:] = 1, 1
    f = signal_s2(24, 1, bandlimit=BANDLIMIT).to(torch.complex64)
    labels = torch.arange(24) % 2
    f = f * torch.where(labels[:, None, None, None] == 0, low, high)
    x = transform.inverse(f).movedim(1, -1)
    x = x / x.square().mean((1, 2, 3), keepdim=True).sqrt()
    model = S2CNNClassifier(layout(norm="channel", oversampling=1.5), classes=2, seed=1)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(20):
        rows = torch.randperm(24, generator=generator)[:8]
        loss = nn.functional.cross_entropy(model(x[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float((model(x).argmax(1) == labels).float().mean()) >= 0.9


def test_the_seed_decides_the_weights() -> None:
    first, second, third = (S2CNNClassifier(layout(), seed=s).state_dict() for s in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    drawn = [name for name in first if name.endswith("weight")]
    assert len(drawn) == 4 and all(not torch.equal(first[n], third[n]) for n in drawn)


def test_bad_input_is_told_in_a_line() -> None:
    with pytest.raises(ValueError, match=r"x has shape \(1, 14, 14, 1\); expected \(batch, 16, 16"):
        S2CNNClassifier(layout())(torch.zeros(1, 14, 14, 1))
    with pytest.raises(ValueError, match="features and bandlimits have 2 and 1 entries"):
        Layout(8, (4, 4), (8,))
    with pytest.raises(ValueError, match="norm is 'batch'"):
        layout(norm="batch")
    with pytest.raises(ValueError, match="orders has 2 entries; expected 3"):
        layout(orders=(3, 3))
    with pytest.raises(ValueError, match=r"orders is \(3, 5, 1\)"):
        layout(orders=(3, 5, 1))
    with pytest.raises(ValueError, match="expected none to grow"):
        Layout(8, (4, 4), (4, 6), orders=(1, 1))
    with pytest.raises(ValueError, match="'tensor_product' with orders"):
        layout(orders=(1, 1, 1), activation="tensor_product")
    with pytest.raises(ValueError, match="recompute is True with orders"):
        layout(orders=(1, 1, 1), recompute=True)
    with pytest.raises(ValueError, match="bandlimits is"):
        Layout(8, (4,), (0,))

"""The empirical tangent kernel is ``J J^T``, in every form, by every way, in any chunks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from geocore.kernels.empirical import empirical_ntk, ntk_cost
from geocore.models.s2cnn.layout import Layout
from geocore.models.s2cnn.networks import S2CNNClassifier
from tests.models.swins import heal_swin, nested

F64 = torch.float64


def dense() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 3)).double()


def convolutional() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 2), nn.GELU(), nn.Conv2d(3, 2, 1)).double()


class Tied(nn.Module):
    """One matrix used twice, one frozen, one not used."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.read_out = nn.Linear(6, 6), nn.Linear(6, 2)
        self.second, self.idle = self.first, nn.Linear(2, 2)
        self.read_out.bias.requires_grad_(False)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.read_out(self.second(self.first(x).sin()).sin())
        return out


CASES = {"dense": (dense, (6,)), "convolutional": (convolutional, (1, 3, 3)), "tied": (Tied, (6,))}


def batch(count: int, shape: tuple[int, ...], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, *shape, generator=generator, dtype=F64)


def brute_force(network: nn.Module, x1: Tensor, x2: Tensor) -> Tensor:
    """``(n, m, outputs, outputs)`` from one backward pass a sample and output."""

    def rows(x: Tensor) -> Tensor:
        found = []
        for sample in x:
            for place in range(network(sample[None]).numel()):
                network.zero_grad()
                network(sample[None]).flatten()[place].backward()
                found.append(
                    torch.cat(
                        [
                            (torch.zeros_like(p) if p.grad is None else p.grad.clone()).flatten()
                            for p in network.parameters()
                            if p.requires_grad
                        ]
                    )
                )
        stacked: Tensor = torch.stack(found).unflatten(0, (len(x), -1))
        return stacked

    found: Tensor = torch.einsum("iap,jbp->ijab", rows(x1), rows(x2))
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", ["auto", "jacobian", "products", "autograd"])
@pytest.mark.parametrize("chunk", [None, 2])
def test_every_form_is_brute_force(case: str, method: Any, chunk: int | None) -> None:
    build, shape = CASES[case]
    network, x1, x2 = build(), batch(5, shape, 1), batch(3, shape, 2)
    for second in (x2, None):
        full = brute_force(network, x1, x1 if second is None else second)
        diagonal = full.diagonal(dim1=2, dim2=3)
        forms = {"full": full, "diagonal": diagonal, "trace": diagonal.sum(dim=2)}
        for form, expected in forms.items():
            found = empirical_ntk(network, x1, second, form=form, method=method, chunk=chunk)  # type: ignore[arg-type]
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
            assert not found.requires_grad


def test_symmetric_and_positive() -> None:
    kernel = empirical_ntk(dense(), batch(5, (6,), 1), form="full", chunk=2)
    matrix = kernel.transpose(1, 2).flatten(0, 1).flatten(1)
    torch.testing.assert_close(matrix, matrix.mT, rtol=0, atol=1e-13)
    assert float(torch.linalg.eigvalsh(matrix).min()) > -1e-12


def test_the_cheaper_way_is_taken() -> None:
    x = torch.randn(8, 64)
    narrow = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 1))
    wide = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 100))
    assert ntk_cost(narrow, x, x).method == "jacobian"
    assert ntk_cost(wide, x, x).method == "products"
    assert ntk_cost(wide, x, x, form="trace").method == "jacobian"
    # Twice the samples on each side: four times the pairs.
    cost = [ntk_cost(wide, torch.randn(n, 64), chunk=4).products for n in (8, 16)]
    assert cost[1] / cost[0] == pytest.approx(4, rel=0.01)


class Largest(TorchDispatchMode):
    """The largest tensor that is made."""

    numbers = 0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in out if isinstance(out, tuple | list) else [out]:
            if isinstance(leaf, Tensor) and leaf.untyped_storage().nbytes():
                made = leaf.untyped_storage().nbytes() // leaf.element_size()
                self.numbers = max(self.numbers, made)
        return out


@pytest.mark.parametrize("method", ["jacobian", "products"])
def test_memory_is_bounded_by_the_chunk(method: Any) -> None:
    network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    x, made = torch.randn(16, 64), []
    for chunk in (2, 8):
        with Largest() as largest:
            empirical_ntk(network, x, form="trace", method=method, chunk=chunk)
        made.append(largest.numbers)
    # The largest is the gradient of the first matrix: a row for each sample and output.
    assert made == [2 * 2 * 64 * 64, 8 * 2 * 64 * 64]


def test_a_memory_is_kept() -> None:
    network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    x = torch.randn(64, 64)
    for name in ("jacobian_chunk", "products_chunk"):
        chunks = [getattr(ntk_cost(network, x, memory=memory), name) for memory in (10**5, 10**6)]
        assert 1 <= chunks[0] < chunks[1] < 64


def test_networks_of_the_sphere() -> None:
    layout = Layout(bandlimit=4, features=(2, 2), bandlimits=(3, 2))
    spherical = S2CNNClassifier(layout, classes=2, dtype=F64)
    x = torch.rand(2, 8, 8, 1, dtype=F64, generator=torch.Generator().manual_seed(1))
    expected = empirical_ntk(spherical, x, method="autograd")
    for method in ("jacobian", "products"):
        found = empirical_ntk(spherical, x, method=method)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_network_without_forward_mode() -> None:
    # The permutations of a HEAL-SWIN have a backward rule alone.
    swin = heal_swin(nested(8, (0, 1, 2, 3), 1), 2, dense=False).eval()
    x = torch.rand(2, 256, 1, dtype=F64, generator=torch.Generator().manual_seed(1))
    expected = empirical_ntk(swin, x, form="trace", method="autograd")
    for method in ("auto", "jacobian"):
        found = empirical_ntk(swin, x, form="trace", method=method)
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=0)
    with pytest.raises(NotImplementedError):
        empirical_ntk(swin, x, form="trace", method="products")


def test_bad_input() -> None:
    network, x = dense(), batch(3, (6,), 1)
    frozen = dense().requires_grad_(False)
    with pytest.raises(ValueError, match="network is Sequential without trainable parameters"):
        empirical_ntk(frozen, x)
    with pytest.raises(ValueError, match="layer 0 is BatchNorm1d in training; expected eval"):
        empirical_ntk(nn.Sequential(nn.BatchNorm1d(6)), x)
    with pytest.raises(ValueError, match=r"x2 has shape \(3, 5\); expected \(m, 6\), as x1"):
        empirical_ntk(network, x, x[:, :5])
    with pytest.raises(ValueError, match=r"x1 has shape \(0, 6\); expected \(n, ...\)"):
        empirical_ntk(network, x[:0])
    with pytest.raises(ValueError, match="form is 'mean'; expected full, trace, diagonal"):
        empirical_ntk(network, x, form="mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="method is 'fast'; expected auto, jacobian, products"):
        empirical_ntk(network, x, method="fast")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="chunk is 0; expected at least 1"):
        empirical_ntk(network, x, chunk=0)

"""oneDNN has PyTorch's products and gradients; where it does not apply, nothing changes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from geocore.models import products
from geocore.models.products import Linear, by_hand, linear, linear_gelu
from geocore.testing import assert_parity


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-5), (torch.float64, 1e-14)])
def test_linear_is_pytorchs(bias: bool, dtype: torch.dtype, atol: float) -> None:
    torch.manual_seed(0)
    layer = Linear(20, 12, bias=bias).to(dtype)
    x = torch.randn(3, 7, 20, dtype=dtype)
    weights = (layer.weight, layer.bias) if bias else (layer.weight,)

    def fast(x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        named = dict(zip(("weight", "bias"), weights, strict=False))
        out: torch.Tensor = torch.func.functional_call(layer, named, (x,))
        return out

    assert_parity(fast, F.linear, x, *weights, atol=atol, reference_dtype=torch.float64)


def test_gelu_is_the_exact_one() -> None:
    x, weight, bias = torch.randn(9, 4), torch.randn(5, 4), torch.randn(5)
    expected = F.gelu(F.linear(x.double(), weight.double(), bias.double()))
    torch.testing.assert_close(linear_gelu(x, weight, bias).double(), expected, atol=5e-6, rtol=0)


def test_a_compiler_calls_it_without_gradients() -> None:
    layer, x = Linear(4, 5), torch.randn(9, 4)
    called = torch.compile(layer, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(called(x), layer(x), atol=0, rtol=0)
    torch.library.opcheck(
        torch.ops.geocore.linear.default, (x, layer.weight, layer.bias, True),
        test_utils=("test_schema", "test_faketensor"),
    )  # fmt: skip
    (found,) = torch.autograd.grad(called(x).sum(), layer.bias)
    assert torch.equal(found, torch.full((5,), 9.0))


def test_without_onednn_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias = torch.randn(9, 4), torch.randn(5, 4), torch.randn(5)
    monkeypatch.setattr(products, "_HAS_ONEDNN", False)
    assert torch.equal(linear(x, weight, bias), F.linear(x, weight, bias))
    assert torch.equal(linear_gelu(x, weight, bias), F.gelu(F.linear(x, weight, bias)))


def test_the_gradient_has_a_gradient() -> None:
    layer = Linear(3, 2).double()
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: (layer(x) ** 3).sum(), x)


def test_function_transforms_and_autocast_see_plain_operations() -> None:
    layer, x = Linear(3, 2), torch.randn(4, 3)
    assert by_hand(x)
    jacobian = torch.func.jacrev(layer)(x[0])
    torch.testing.assert_close(jacobian, layer.weight, atol=0, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        assert not by_hand(x)
        assert layer(x).dtype == torch.bfloat16

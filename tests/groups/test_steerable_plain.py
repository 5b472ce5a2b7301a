"""The plain layers do what escnn's do; exported networks are plain, and the same."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from geocore.groups.steerable import SteerableConvolution, layout_of
from geocore.groups.steerable_fields import Feature, Fields, Symmetry
from geocore.groups.steerable_plain import FieldActivation, FieldInvariants, PlainSteerable, Segment
from geocore.so3.escnn import import_escnn
from geocore.testing import assert_parity
from tests.groups.steerable_cases import CASES, drawn, network


def test_norms_are_escnns() -> None:
    escnn, symmetry = import_escnn(), Symmetry.named("C8")
    fields = Fields(
        symmetry, (Feature("irreducible", 2, frequency=1), Feature("irreducible", 3, frequency=2))
    )
    both = [r for f, r in zip(fields.features, fields.representations, strict=True)
            for _ in range(f.multiplicity)]  # fmt: skip
    kind = escnn.nn.FieldType(escnn.gspaces.rot2dOnR2(8), both)
    theirs, ours = escnn.nn.NormNonLinearity(kind), FieldActivation(layout_of(fields))
    x = torch.randn(2, fields.size, 5, 5, generator=torch.Generator().manual_seed(0))
    biases = torch.linspace(-2, 0, 5)
    with torch.no_grad():
        assert ours.log_bias is not None
        ours.log_bias.copy_(biases)
        theirs.log_bias.copy_(biases[None, :, None, None])
        torch.testing.assert_close(ours(x), theirs(kind(x)).tensor, atol=1e-6, rtol=0)


def test_induced_norms_are_escnns() -> None:
    escnn = import_escnn()
    fields = Fields(Symmetry.named("O2"), (Feature("induced", 3, frequency=1),))
    space = escnn.gspaces.flipRot2dOnR2(-1, maximum_frequency=6)
    kind = escnn.nn.FieldType(space, fields.representations * 3)
    theirs = escnn.nn.InducedNormNonLinearity(kind)
    ours = FieldActivation(layout_of(fields))
    x = torch.randn(2, fields.size, 5, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert ours.log_bias is not None
        ours.log_bias.copy_(torch.tensor([-1.0, -0.5, 0.0]))
        theirs.log_bias.copy_(torch.tensor([-1.0, -0.5, 0.0]))
        torch.testing.assert_close(ours(x), theirs(kind(x)).tensor, atol=1e-6, rtol=0)


def test_gates_follow_the_fields_and_leave() -> None:
    layout = (Segment(1, 1, 1, True), Segment(2, 2, 2, False))
    gated = FieldActivation(layout, "gated")
    x = torch.randn(1, 9 + gated.gates, 3, 3, generator=torch.Generator().manual_seed(0))
    found = gated(x)
    assert gated.gates == 2 and found.shape == (1, 9, 3, 3)
    torch.testing.assert_close(found[:, :1], x[:, :1].relu())
    torch.testing.assert_close(found[:, 1:5], x[:, 1:5] * x[:, 9:10].sigmoid())
    torch.testing.assert_close(found[:, 5:], x[:, 5:9] * x[:, 10:].sigmoid())


def test_invariants_and_a_gradient_at_zero() -> None:
    layout = (Segment(2, 4, 1, True), Segment(1, 1, 2, False))
    x = torch.arange(10.0)[None, :, None, None].clone()
    assert FieldInvariants(layout)(x).flatten().tolist() == pytest.approx([3, 7, (64 + 81) ** 0.5])
    mean = FieldInvariants(layout, "mean")(x).flatten().tolist()
    assert mean == pytest.approx([1.5, 5.5, (64 + 81) ** 0.5])
    zero = torch.zeros(1, 10, 1, 1, requires_grad=True)
    (FieldActivation(layout)(zero).sum() + FieldInvariants(layout)(zero).sum()).backward()
    assert zero.grad is not None and bool(zero.grad.isfinite().all())


def test_circles_are_sampled_and_summed_up_again() -> None:
    """ReLU of cos t has the coefficients 1 / pi, 1 / 2, and none of sin t; of -1 it is nothing."""
    layer = FieldActivation((Segment(1, 1, 25, False, True),), "fourier")
    x = torch.zeros(1, 25, 1, 1, dtype=torch.float64)
    x[0, 1] = 0.5**0.5
    found = layer(x).flatten()
    expected = torch.tensor([1 / math.pi, 0.5**0.5 / 2, 0.0], dtype=torch.float64)
    torch.testing.assert_close(found[:3], expected, atol=2e-3, rtol=0)
    x[0, :2] = torch.tensor([1.0, 0.1])[:, None, None]
    torch.testing.assert_close(layer(x), x, atol=1e-14, rtol=0)  # positive: nothing is cut off
    assert layer(-x).abs().max() < 1e-14
    assert layer(x.float()).dtype == torch.float32


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize(("symmetry", "kind"), CASES, ids=lambda case: getattr(case, "name", case))
def test_what_is_exported_is_plain_and_the_same(
    symmetry: Symmetry, kind: str, dtype: torch.dtype, atol: float
) -> None:
    for nonlinearity, outputs in (("own", 3), ("gated", None)):
        model = network(symmetry, kind, nonlinearity, outputs, dtype)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1)
        plain, x = model.export(), drawn(1, 2, 9, 9).to(dtype)
        scale = float(model(x).detach().abs().max())
        assert_parity(plain, model, x, atol=atol * max(1.0, scale))
        modules = {type(module).__module__.split(".")[0] for module in plain.modules()}
        assert modules == {"torch", "geocore"}
        assert not any(isinstance(module, SteerableConvolution) for module in plain.modules())


LOADED = """
import json, sys, torch
from safetensors.torch import load_file
from geocore.groups.steerable_plain import PlainSteerable
folder = sys.argv[1]
plain = PlainSteerable(json.load(open(folder + "/spec.json"))).double()
tensors = load_file(folder + "/plain.safetensors")
x, y = tensors.pop("x"), tensors.pop("y")
plain.load_state_dict(tensors)
assert not [name for name in sys.modules if name.split(".")[0] in ("escnn", "lie_learn", "py3nj")]
print(float((plain(x) - y).detach().abs().max()))
"""


def test_an_export_is_loaded_without_escnn(tmp_path: Path) -> None:
    model, x = network(Symmetry.named("O2"), "induced", outputs=3), drawn(1, 2, 13, 13)
    plain = model.export()
    (tmp_path / "spec.json").write_text(json.dumps(plain.spec))
    tensors = {**plain.state_dict(), "x": x, "y": model(x).detach()}
    save_file(tensors, tmp_path / "plain.safetensors")
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(tmp_path)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-12


def test_what_is_refused() -> None:
    turning = (Segment(1, 1, 2, False),)
    with pytest.raises(ValueError, match="nonlinearity is 'elu'; expected one of relu, norm"):
        FieldActivation(turning, "elu")
    with pytest.raises(ValueError, match="nonlinearity is 'relu' on fields that turn"):
        FieldActivation(turning, "relu")
    with pytest.raises(ValueError, match="kind is 'sum'; expected 'max' or 'mean'"):
        FieldInvariants(turning, "sum")
    with pytest.raises(ValueError, match="pool is 'min'; expected 'average', 'max' or None"):
        layer = {"kernel_size": 3, "layout": [[1, 1, 2, False]], "nonlinearity": "norm"}
        spec = {"in": 1, "layers": [{**layer, "pool": "min"}], "invariant": "max", "outputs": None}
        PlainSteerable(spec)

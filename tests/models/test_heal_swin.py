"""HEAL-SWIN's laws: exact under quarter turns, the published size, one size for all resolutions."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.healpix.symmetry import QuarterTurns
from geocore.models import swin_unet
from geocore.models.heal_swin import HealSwin
from geocore.models.registry import build
from geocore.testing import assert_equivariant
from tests.models.swins import PAPER, heal_swin, nested, pictures, swin_params

CAP, EIGHT, ALL = tuple(range(4)), tuple(range(8)), tuple(range(12))
V1: dict[str, Any] = {"norm": "pre", "attention": "dot"}


def relative_error_of_turns(model: HealSwin, table: TableType, batch: int = 2) -> None:
    x = pictures(table, batch)
    assert table.nside is not None and table.faces is not None
    size = float(model(x).detach().abs().max())
    act_out: Any = None if model.body.decoder is not None else "invariant"
    turns = QuarterTurns(table.nside, table.faces)
    assert_equivariant(model, turns, x, atol=1e-12 * size, act_out=act_out)


@pytest.mark.parametrize("shift", ["grid", "ring", "roll"])
@pytest.mark.parametrize("faces", [CAP, EIGHT, ALL])
@pytest.mark.parametrize("version", [{}, V1])
def test_the_dense_network_turns_with_its_input(
    shift: str, faces: tuple[int, ...], version: dict[str, Any]
) -> None:
    table = nested(16, faces)
    relative_error_of_turns(heal_swin(table, shift=shift, **version).eval(), table)


@pytest.mark.parametrize("shift", ["none", "grid", "ring", "roll"])
def test_the_pooled_network_is_invariant(shift: str) -> None:
    table = nested(16, EIGHT)
    relative_error_of_turns(heal_swin(table, dense=False, shift=shift).eval(), table)


@pytest.mark.parametrize("shift", ["grid", "ring", "roll"])
def test_the_law_holds_over_all_of_the_papers_stages(shift: str) -> None:
    table = nested(32, EIGHT, channels=3)
    model = heal_swin(
        table, 10, shift=shift, window=64, depths=(2, 2, 6, 2), heads=(1, 2, 4, 8),
        position="orbit",
    )  # fmt: skip
    relative_error_of_turns(model.eval(), table, batch=1)


def test_absolute_positions_break_the_law() -> None:
    table = nested(16, EIGHT)
    model, x = heal_swin(table, position="absolute").eval(), pictures(table)
    turns = QuarterTurns(16, EIGHT)
    error = (model(turns.act(1, x)) - turns.act(1, model(x))).detach().abs().max()
    assert float(error) > 1e-2


def test_dropout_by_channel_keeps_the_law_in_training() -> None:
    table = nested(16, EIGHT)
    changes: dict[str, Any] = {"dropout": 0.3, "attention_dropout": 0.3, "drop_path": 0.3}

    def same_draws(model: HealSwin, x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)
        out: torch.Tensor = model(x)
        return out

    x = pictures(table)
    turns = QuarterTurns(16, EIGHT)
    by_channel = heal_swin(table, dropout_kind="channel", **changes).train()
    size = float(same_draws(by_channel, x).detach().abs().max())
    assert float((same_draws(by_channel, x) - by_channel.eval()(x)).detach().abs().max()) > 1e-3
    by_channel.train()
    assert_equivariant(lambda x: same_draws(by_channel, x), turns, x, atol=1e-12 * size)
    by_element = heal_swin(table, **changes).train()
    error = same_draws(by_element, turns.act(1, x)) - turns.act(1, same_draws(by_element, x))
    assert float(error.detach().abs().max()) > 1e-2


def test_shifts_carry_information_across_windows_and_faces() -> None:
    table = nested(8, ALL)

    def reached(shift: str) -> set[int]:
        model, x = heal_swin(table, shift=shift, depths=(2,), heads=(2,)).eval(), pictures(table)
        other = x.clone()
        other[:, 0] += 1  # a pixel of face 0, in its southern corner
        change = (model(other) - model(x)).detach().abs().amax(dim=(0, 2)) > 1e-9
        return {int(pixel) // 64 for pixel in change.nonzero()}

    assert reached("none") == {0} and reached("roll") == {0}
    assert reached("grid") > {0} and reached("ring") > {0}


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swin_unet, "initialise", lambda model, seed: None)  # it takes seconds


@pytest.mark.usefixtures("undrawn")
def test_the_papers_setting_has_the_published_size() -> None:
    params = swin_params(**PAPER)
    model = HealSwin(nested(64, EIGHT, channels=3), 10, params, dense=True)
    assert sum(p.numel() for p in model.parameters()) == 41_279_688


def test_the_size_does_not_depend_on_resolution_or_faces() -> None:
    shapes = [
        {name: p.shape for name, p in heal_swin(nested(nside, faces)).named_parameters()}
        for nside, faces in ((8, (3,)), (16, EIGHT), (64, (0, 1, 7)))
    ]
    assert shapes[0] == shapes[1] == shapes[2]


def test_trace_names_every_layer() -> None:
    table = nested(16, EIGHT)
    model, x = heal_swin(table).eval(), pictures(table)
    traced = model.trace(x)
    assert {name: tuple(value.shape[1:]) for name, value in traced.items()} == {
        "embed": (512, 8), "stage0.block0": (512, 8), "stage0.block1": (512, 8),
        "merge1": (128, 16), "stage1.block0": (128, 16), "stage1.block1": (128, 16),
        "join0": (512, 8), "decoder0.block0": (512, 8), "decoder0.block1": (512, 8),
        "pixels": (2048, 8), "logits": (2048, 3),
    }  # fmt: skip
    assert list(traced)[-1] == "logits" and torch.equal(traced["logits"], model(x))
    assert_equivariant(model.trace, QuarterTurns(16, EIGHT), x, atol=1e-10)
    pooled = heal_swin(table, dense=False).eval()
    assert list(pooled.trace(x))[-1] == "logits"
    assert pooled.trace(x)["logits"].shape == (2, 3)


@pytest.mark.parametrize("dense", [False, True])
def test_checkpointing_changes_no_gradient(dense: bool) -> None:
    table = nested(8, CAP)
    changes: dict[str, Any] = {"dropout": 0.2, "attention_dropout": 0.2, "drop_path": 0.2}
    gradients = []
    for checkpointing in (False, True):
        model = heal_swin(table, dense=dense, checkpointing=checkpointing, **changes).train()
        torch.manual_seed(0)
        model(pictures(table)).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_the_registry_builds_both_heads() -> None:
    table, x = nested(8, CAP), pictures(nested(8, CAP)).float()
    assert build(swin_params(), table, 5, 0, dense=True)(x).shape == (2, 256, 5)
    assert build(swin_params(), table, 5, 0)(x).shape == (2, 5)


def test_the_seed_decides_all_weights() -> None:
    table = nested(8, CAP)
    first, second, third = (
        build(swin_params(), table, 5, seed, dense=True).state_dict() for seed in (3, 3, 4)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    drawn = {name for name in first if not torch.equal(first[name], third[name])}
    assert "body.encoder.0.0.attention.bias_table" in drawn and "body.head.weight" in drawn
    assert "body.embed.project.bias" in drawn


def test_an_empty_map_has_moderate_gradients() -> None:
    # Outside of an image all pixels are 0; a norm or a cosine of zero would drown all the rest.
    table = nested(16, EIGHT)
    model = HealSwin(table, 3, swin_params(), dense=True)
    x = torch.zeros(1, *table.shape, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(x).sum(), x)
    assert float(gradient.abs().max()) < 1e3


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (nested(2), "model.depths has 2 stages and resample.nside is 2; expected an nside of at "
         "least 4, or fewer stages"),
        (TableType(grid="healpix", nside=8, ordering="ring", faces=(0,), channels=1),
         "model.name is heal_swin; its table's ordering is ring; expected nested"),
        (TableType(grid="planar", height=8, width=8, channels=1),
         "model.name is heal_swin; its table's grid is planar; expected healpix"),
        (nested(4), "model.window is 16 and resample.nside is 4; expected a window of at most 4, "
         "the tokens of a face"),
    ],
)  # fmt: skip
def test_other_tables_are_refused(table: TableType, found: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(found)}$"):
        HealSwin(table, 3, swin_params())


def test_other_inputs_are_refused() -> None:
    model = heal_swin(nested(8, CAP))
    with pytest.raises(ValueError, match=r"x has shape \(2, 255, 2\); expected \(batch, 256, 2\)"):
        model(torch.zeros(2, 255, 2))
    with pytest.raises(TypeError, match=r"x is torch.uint8; expected floats in \[0, 1\]"):
        model(torch.zeros(2, 256, 2, dtype=torch.uint8))
    with pytest.raises(ValueError, match="outputs is 0; expected at least 1"):
        heal_swin(nested(8, CAP), 0)


@pytest.mark.parametrize(
    ("changes", "training"),
    [({}, False), (V1 | {"dropout": 0.1, "attention_dropout": 0.1, "drop_path": 0.1}, True)],
)
def test_nothing_breaks_the_compilers_graph(changes: dict[str, Any], training: bool) -> None:
    table = nested(8, CAP)
    model = heal_swin(table, depths=(2, 1), **changes).train(training)
    explained = torch._dynamo.explain(model)(pictures(table))
    assert explained.graph_break_count == 0, explained.break_reasons


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("differentiated", [False, True])
def test_the_compiled_network_agrees(differentiated: bool, dtype: torch.dtype) -> None:
    table = nested(8, CAP)
    model = heal_swin(table).to(dtype).eval()
    x = pictures(table).to(dtype)
    compiled = torch.compile(model, fullgraph=True)
    atol, rtol = (1e-11, 1e-10) if dtype == torch.float64 else (1e-4, 1e-4)
    with torch.set_grad_enabled(differentiated):
        torch.testing.assert_close(compiled(x), model(x), atol=atol, rtol=0)
    if differentiated:
        (found,) = torch.autograd.grad(compiled(x).square().mean(), model.body.head.weight)
        (expected,) = torch.autograd.grad(model(x).square().mean(), model.body.head.weight)
        torch.testing.assert_close(found, expected, atol=atol, rtol=rtol)

"""The encoder's laws: exact under quarter turns, local in windows, global at the end."""

from __future__ import annotations

import pytest
import torch

from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.healpix.symmetry import QuarterTurns
from geocore.models.healpix_encoder import HealpixEncoder
from geocore.testing import assert_equivariant
from tests.models.encoders import encoder, kind, maps, model_params

ROWS = [tuple(range(12)), (4, 5, 6, 7), (0, 1, 2, 3, 8, 9, 10, 11)]


@pytest.mark.parametrize("block", ["attention", "mlp"])
@pytest.mark.parametrize("position", ["orbit", "none"])
@pytest.mark.parametrize("faces", ROWS)
def test_invariant_under_quarter_turns(block: str, position: str, faces: tuple[int, ...]) -> None:
    table = kind(8, faces)
    model = encoder(table, block=block, position=position)
    x = maps(table)
    size = float(model(x).detach().abs().max())
    turns = QuarterTurns(8, faces)
    assert_equivariant(model, turns, x, atol=1e-12 * size, act_out="invariant")


@pytest.mark.parametrize("block", ["attention", "mlp"])
def test_every_layer_turns_with_the_input(block: str) -> None:
    table = kind(8)
    model = encoder(table, block=block)

    def layers(x: torch.Tensor) -> dict[str, torch.Tensor]:
        traced = model.trace(x)
        traced.pop("logits")
        return traced

    assert list(layers(maps(table))) == [
        "embed", "stage0.block0", "merge1", "stage1.block0", "merge2", "stage2.block0",
    ]  # fmt: skip
    assert_equivariant(layers, QuarterTurns(8), maps(table), atol=1e-11)


def test_the_law_holds_to_float32s_rounding() -> None:
    table = kind(8)
    model, x = encoder(table).float(), maps(table).float()
    size = float(model(x).detach().abs().max())
    assert_equivariant(model, QuarterTurns(8), x, atol=1e-5 * size, act_out="invariant")


def test_absolute_positions_break_the_law() -> None:
    table = kind(8)
    model, x = encoder(table, position="absolute"), maps(table)
    turned = model(QuarterTurns(8).act(1, x))
    assert float((turned - model(x)).detach().abs().max()) > 1e-3


def test_dropout_keeps_the_law_in_training() -> None:
    table = kind(8)
    model = encoder(table, dropout=0.5).train()

    def same_draws(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)
        out: torch.Tensor = model(x)
        return out

    x = maps(table)
    assert float((same_draws(x) - model.eval()(x)).detach().abs().max()) > 1e-3
    model.train()
    assert_equivariant(same_draws, QuarterTurns(8), x, atol=1e-11, act_out="invariant")


@pytest.mark.parametrize("block", ["attention", "mlp"])
def test_windows_are_local_and_the_last_stage_is_not(block: str) -> None:
    table = kind(8)
    model = encoder(table, block=block)
    x = maps(table, batch=1)
    other = x.clone()
    other[:, 0] += 1  # one pixel of face 0
    before, after = model.trace(x), model.trace(other)
    changed = {
        name: (after[name] - before[name]).detach().abs().amax(dim=(0, -1)) > 1e-9
        for name in before
    }
    # Windows of 4 of the 16 tokens a face; after merging, one window is a face.
    assert changed["embed"].nonzero().flatten().tolist() == [0]
    assert changed["stage0.block0"].nonzero().flatten().tolist() == [0, 1, 2, 3]
    assert changed["merge1"].nonzero().flatten().tolist() == [0]
    assert changed["stage1.block0"].nonzero().flatten().tolist() == [0, 1, 2, 3]
    assert changed["merge2"].nonzero().flatten().tolist() == [0]
    assert changed["stage2.block0"].all()


def test_the_number_of_parameters() -> None:
    # embed 4 -> 8; two blocks (8 and 16 channels, ratio 2); positions 12 * 4 / 4 tokens.
    model = HealpixEncoder(kind(4), 5, model_params(depths=(1, 1), heads=(1, 2)))

    def block(c: int, tables: int) -> int:
        return 2 * 2 * c + (3 * c * c + 3 * c) + (c * c + c) + tables + 2 * 2 * c * c + 3 * c

    expected = (4 * 8 + 8 + 2 * 8) + 12 * 8
    expected += block(8, 9) + (2 * 32 + 32 * 16) + block(16, 2 * 12 * 12 // 4)
    expected += 2 * 16 + 16 * 5 + 5
    assert sum(p.numel() for p in model.parameters()) == expected


def test_trace_ends_with_the_logits() -> None:
    table = kind(8)
    model, x = encoder(table), maps(table)
    traced = model.trace(x)
    assert list(traced)[-1] == "logits"
    assert torch.equal(traced["logits"], model(x))
    assert traced["stage1.block0"].shape == (3, 12 * 4, 16)


@pytest.mark.parametrize(
    ("nside", "found"),
    [
        (4, "nside is 4; expected an nside from 8 to 64, or fewer stages"),
        (128, "nside is 128; expected an nside from 8 to 64, or more stages"),
    ],
)
def test_stages_must_fit_nside(nside: int, found: str) -> None:
    with pytest.raises(UserError) as error:
        HealpixEncoder(kind(nside), 5, model_params())
    assert str(error.value) == f"model.depths has 3 stages and resample.{found}"


def test_a_ring_ordered_table_is_refused() -> None:
    ring = TableType(grid="healpix", nside=8, ordering="ring", faces=(0,), channels=1)
    with pytest.raises(UserError) as error:
        HealpixEncoder(ring, 5, model_params())
    assert str(error.value) == (
        "model.name is healpix_encoder; its table's ordering is ring; expected nested"
    )


def test_other_inputs_are_refused() -> None:
    model = encoder(kind(8))
    with pytest.raises(ValueError, match=r"x has shape \(2, 767, 1\); expected \(batch, 768, 1\)"):
        model(torch.zeros(2, 767, 1))
    with pytest.raises(TypeError, match=r"x is torch.uint8; expected floats in \[0, 1\]"):
        model(torch.zeros(2, 768, 1, dtype=torch.uint8))


@pytest.mark.slow
def test_compiled_forward_agrees() -> None:
    table = kind(8)
    model, x = encoder(table).eval(), maps(table)
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(model)(x), model(x), atol=1e-12, rtol=0)

"""Flat Swin: HEAL-SWIN's parameters on the plane; padding leaves no trace."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.models import swin_unet
from geocore.models.heal_swin import HealSwin
from geocore.models.registry import build
from geocore.models.swin import Swin
from geocore.models.swin_reference import as_reference
from tests.models.swins import PAPER, nested, pictures, planar, swin, swin_params


def test_it_has_the_parameters_of_heal_swin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swin_unet, "initialise", lambda model, seed: None)  # it takes seconds
    flat = Swin(planar(40, 56, 3), 10, swin_params(**PAPER | {"name": "swin", "shift": "grid"}))
    round_ = HealSwin(nested(32, channels=3), 10, swin_params(**PAPER))
    assert {name: p.shape for name, p in flat.named_parameters()} == {
        name: p.shape for name, p in round_.named_parameters()
    }


@pytest.mark.parametrize("size", [(32, 32), (24, 40), (23, 37), (5, 90), (1, 1)])
@pytest.mark.parametrize("dense", [False, True])
def test_any_size_goes_through(size: tuple[int, int], dense: bool) -> None:
    table = planar(*size)
    model, x = swin(table, dense=dense).eval(), pictures(table)
    out = model(x)
    assert out.shape == ((2, *size, 3) if dense else (2, 3))
    torch.testing.assert_close(out, as_reference(model)(x), atol=1e-10, rtol=0)
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("shift", ["none", "grid"])
@pytest.mark.parametrize("size", [(24, 40), (23, 37), (22, 38)])
def test_what_lies_in_the_padding_does_not_matter(size: tuple[int, int], shift: str) -> None:
    table = planar(*size)
    model, x = swin(table, shift=shift).eval(), pictures(table)
    pixels = model._nested(x)
    padding = (model.inward == size[0] * size[1]).reshape(-1, 4)
    # Of a patch that the border cuts, the outer pixels are part of the input: they are zero.
    outside = padding.all(dim=1, keepdim=True).expand(-1, 4).reshape(-1, 1)
    assert outside.sum() > 500
    dirty = torch.where(outside, 1e3, pixels)
    torch.testing.assert_close(model._image(model.body(dirty)), model(x), atol=1e-12, rtol=0)
    pooled = swin(table, shift=shift, dense=False).eval()
    torch.testing.assert_close(pooled.body(dirty), pooled(x), atol=1e-12, rtol=0)


def test_sizes_that_divide_need_no_mask_where_tokens_are_joined() -> None:
    assert swin(planar(24, 40)).body.kept0 is None
    assert swin(planar(22, 40)).body.kept0 is not None


def test_windows_are_squares_of_the_image() -> None:
    table = planar(32, 32)
    model, x = swin(table, shift="none", depths=(1,), heads=(2,)).eval(), pictures(table, 1)
    other = x.clone()
    other[:, 11, 21] += 1
    change = (model(other) - model(x)).detach().abs().amax(dim=(0, 3)) > 1e-9
    expected = torch.zeros(32, 32, dtype=torch.bool)
    expected[8:16, 16:24] = True  # 4 x 4 tokens of 2 x 2 pixels
    assert torch.equal(change, expected)


def test_the_grid_shift_moves_by_half_a_window_and_not_around_the_border() -> None:
    table = planar(32, 32)
    model, x = swin(table, depths=(2,), heads=(2,)).eval(), pictures(table, 1)

    def reached(row: int, column: int) -> torch.Tensor:
        other = x.clone()
        other[:, row, column] += 1
        change: torch.Tensor = (model(other) - model(x)).detach().abs().amax(dim=(0, 3))
        return change > 1e-9

    expected = torch.zeros(32, 32, dtype=torch.bool)
    expected[4:20, 12:28] = True  # its window, and what shares a shifted window with a part of it
    assert torch.equal(reached(11, 21), expected)
    corner = torch.zeros(32, 32, dtype=torch.bool)
    corner[:12, :12] = True
    assert torch.equal(reached(0, 0), corner)


def test_embedding_and_merging_read_patches() -> None:
    table = planar(16, 16, 1)
    model, x = swin(table).eval(), pictures(table)
    traced = model.trace(x)
    project = model.body.embed.project
    kernel = project.weight.reshape(8, 2, 2)[:, None]  # children: x first, then y
    expected = F.conv2d(x.permute(0, 3, 1, 2), kernel, project.bias, stride=2)
    torch.testing.assert_close(traced["embed"], expected.permute(0, 2, 3, 1), atol=1e-12, rtol=0)
    shapes = {name: tuple(value.shape[1:]) for name, value in traced.items()}
    assert shapes["merge1"] == (4, 4, 16) and shapes["join0"] == (8, 8, 8)
    assert list(traced)[-1] == "logits" and torch.equal(traced["logits"], model(x))


def test_absolute_positions_and_the_registry() -> None:
    table = planar(24, 24)
    params = swin_params(name="swin", position="absolute")
    model = build(params, table, 4, 0, dense=True)
    assert model(pictures(table).float()).shape == (2, 24, 24, 4)
    assert any("position" in name for name, _ in model.named_parameters())


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (nested(), "model.name is swin; its table's grid is healpix; expected planar"),
        (TableType(grid="driscoll-healy", height=4, width=4, channels=1),
         "model.name is swin; its table's grid is driscoll-healy; expected planar"),
    ],
)  # fmt: skip
def test_other_tables_are_refused(table: TableType, found: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(found)}$"):
        Swin(table, 3, swin_params(name="swin"))


@pytest.mark.parametrize(
    ("x", "error", "found"),
    [
        (torch.zeros(2, 32, 31, 2), ValueError, "(2, 32, 31, 2); expected (batch, 32, 32, 2)"),
        (torch.zeros(2, 32, 32, 2, dtype=torch.uint8), TypeError, "x is torch.uint8; expected"),
    ],
)
def test_other_inputs_are_refused(x: torch.Tensor, error: Any, found: str) -> None:
    with pytest.raises(error, match=re.escape(found)):
        swin(planar())(x)


def test_nothing_breaks_the_compilers_graph() -> None:
    table = planar(24, 40)
    explained = torch._dynamo.explain(swin(table, depths=(2, 1)).eval())(pictures(table))
    assert explained.graph_break_count == 0, explained.break_reasons

"""Attention in chunks is ``attend``: values and all gradients, however it is cut."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from geocore.models import chunked_attention
from geocore.models.chunked_attention import attend_in_chunks
from geocore.models.window_attention import attend
from geocore.testing import assert_parity

BATCH, WINDOWS, WINDOW, HEADS, WIDTH = 3, 4, 4, 2, 3


def inputs(cosine: bool, bias: bool) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(2)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    given = [draw(BATCH, WINDOWS * WINDOW, 3 * HEADS * WIDTH)]
    if cosine:
        given.append(draw(HEADS, 1, 1).exp())
    if bias:
        given.append(draw(HEADS, WINDOW, WINDOW))
    return tuple(given)


def bound(core: Any, cosine: bool, bias: bool, **others: Any) -> Any:
    def call(qkv: Tensor, *rest: Tensor) -> Tensor:
        left = list(rest)
        scale = left.pop(0) if cosine else None
        table = left.pop(0) if bias else None
        out: Tensor = core(qkv, HEADS, WINDOW, scale=scale, bias=table, **others)
        return out

    return call


LABELS = torch.tensor([[0, 1, 1, 0], [2, 2, 2, 3], [5, 5, 4, 4]], dtype=torch.uint8)


@pytest.mark.parametrize("windows_a_chunk", [1, 3, 8, 100])
@pytest.mark.parametrize("masked", [0, 1, 3])
@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_chunks_are_the_whole(
    windows_a_chunk: int, masked: int, cosine: bool, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk = windows_a_chunk * HEADS * WINDOW * WINDOW
    monkeypatch.setattr(chunked_attention, "_CHUNK", chunk)
    others: dict[str, Any] = {"labels": LABELS[3 - masked :] if masked else None}
    assert_parity(
        bound(attend_in_chunks, cosine, bias, **others),
        bound(attend, cosine, bias, **others),
        *inputs(cosine, bias),
        atol=1e-12,
    )


@pytest.mark.parametrize("core", [attend, attend_in_chunks])
def test_all_windows_may_be_masked(core: Any) -> None:
    labels = torch.zeros(WINDOWS, WINDOW, dtype=torch.int16)
    (qkv,) = inputs(False, False)
    found = bound(core, False, False, labels=labels)(qkv)
    expected = bound(attend, False, False, labels=None)(qkv)
    torch.testing.assert_close(found, expected, atol=1e-14, rtol=0)


@pytest.mark.parametrize("core", [attend, attend_in_chunks])
@pytest.mark.parametrize("cosine", [False, True])
def test_other_labels_have_weight_zero(core: Any, cosine: bool) -> None:
    given = inputs(cosine, True)
    call = bound(core, cosine, True, labels=LABELS)
    other = given[0].clone()
    other[:, 5] += 1e3  # the second window has labels 0, 1, 1, 0: this is the second of them
    change = (call(other, *given[1:]) != call(*given)).any(dim=-1).any(dim=0)
    assert change.nonzero().flatten().tolist() == [5, 6]


@pytest.mark.parametrize("cosine", [False, True])
def test_factors_multiply_the_weights(cosine: bool) -> None:
    factors = torch.rand(BATCH, HEADS, WINDOW, WINDOW, dtype=torch.float64)
    others = {"labels": LABELS[:1], "factors": factors}
    assert_parity(
        bound(attend_in_chunks, cosine, True, **others),
        bound(attend, cosine, True, **others),
        *inputs(cosine, True),
        atol=1e-12,
    )


@pytest.mark.parametrize("cosine", [False, True])
def test_the_gradient_goes_through_the_mask_that_was_drawn(cosine: bool) -> None:
    qkv, *rest = inputs(cosine, True)
    given = tuple(x.requires_grad_() for x in (qkv[:1, : 2 * WINDOW].clone(), *rest))
    call = bound(attend_in_chunks, cosine, True, labels=LABELS[:1], probability=0.4)

    def seeded(*inputs: Tensor) -> Tensor:
        torch.manual_seed(5)
        out: Tensor = call(*inputs)
        return out

    assert torch.autograd.gradcheck(seeded, given)


@pytest.mark.parametrize("core", [attend, attend_in_chunks])
def test_weights_are_dropped_and_the_rest_scaled(core: Any) -> None:
    torch.manual_seed(0)
    qkv = torch.zeros(500, 4, 12, dtype=torch.float64)
    qkv[..., 8:] = torch.eye(4, dtype=torch.float64)  # v: so the output is the weights, all 1/4
    out = core(qkv, 1, 4, scale=None, bias=None, labels=None, probability=0.25)
    kept = 4 * 0.75 * out
    torch.testing.assert_close(kept, kept.round(), atol=1e-12, rtol=0)
    assert set(kept.round().unique().tolist()) == {0.0, 1.0}
    assert abs(float(kept.mean()) - 0.75) < 0.02  # standard error 0.0048


def test_a_vanishing_query_has_a_finite_gradient() -> None:
    qkv = torch.zeros(1, 4, 12, dtype=torch.float64)
    scale = torch.full((1, 1, 1), 10.0, dtype=torch.float64)
    others: dict[str, Any] = {"scale": scale, "bias": None, "labels": None}
    assert_parity(
        lambda qkv: attend_in_chunks(qkv, 1, 4, **others),
        lambda qkv: attend(qkv, 1, 4, **others),
        qkv,
        atol=1e-12,
    )


@pytest.mark.parametrize(("heads", "window"), [(1, 4), (2, 1), (1, 1), (1, 16)])
@pytest.mark.parametrize("cosine", [False, True])
def test_neither_the_input_nor_the_incoming_gradient_is_changed(
    heads: int, window: int, cosine: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(1, 16, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    above = torch.randn(1, 16, 2, generator=generator, dtype=torch.float64)
    before, incoming = qkv.detach().clone(), above.clone()
    scale = torch.full((heads, 1, 1), 3.0, dtype=torch.float64) if cosine else None
    given: dict[str, Any] = {"scale": scale, "bias": None, "labels": None}
    out = attend_in_chunks(qkv, heads, window, probability=0.3, **given)
    torch.autograd.grad(out, qkv, above)
    assert torch.equal(qkv.detach(), before) and torch.equal(above, incoming)
    assert_parity(
        lambda qkv: attend_in_chunks(qkv, heads, window, **given),
        lambda qkv: attend(qkv, heads, window, **given),
        before,
        atol=1e-12,
    )

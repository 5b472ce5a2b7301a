"""The quantised student: on its grids, equal to its description, close to the float student."""

from __future__ import annotations

import pytest
import torch

from geocore.edge.quantised import Bits, activation_peaks, exact_logits
from geocore.edge.reference import reference_logits
from tests.edge.students import feed, images, quantised, student

SHAPE = (8, 8, 1)


@pytest.mark.parametrize("bits", [Bits(2, 2, 2), Bits(4, 3, 5), Bits(12, 12, 12)])
@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 7, 3)])
def test_its_logits_are_those_of_its_integers(bits: Bits, shape: tuple[int, int, int]) -> None:
    model = quantised(shape, (3, 4), bits)
    given = images(40, shape)
    found = exact_logits(model, feed(40, shape), 16)
    assert torch.equal(found, reference_logits(model.describe(), given))


def test_weights_are_symmetric_and_formats_are_as_asked() -> None:
    described = quantised(SHAPE, (3, 4), Bits(4, 3, 5)).describe()
    assert str(described.input) == "ufixed<5,0>"  # pixels in [0, 1)
    for layer in described.weighted:
        assert layer.weight_format.bits == 4 and layer.weight_format.signed
        assert layer.weight.abs().max() <= 7  # -8 would have no counterpart
        # The step is the least that holds the largest weight, so more than half is used.
        assert layer.weight.abs().max() > 3
    first, second, last = described.weighted
    for layer in (first, second):
        assert layer.output is not None
        assert (layer.output.bits, layer.output.signed) == (3, False)
    assert last.output is None
    assert (first.input, second.input, last.input) == (
        described.input, first.output, second.output,
    )  # fmt: skip


def test_many_bits_come_close_to_the_float_student() -> None:
    model = student(SHAPE, (3, 4))
    given = images(64, SHAPE)
    wanted = model(given)
    errors = []
    for bits in (Bits(4, 4, 4), Bits(8, 8, 8), Bits(12, 12, 12)):
        found = quantised(SHAPE, (3, 4), bits, given=model)(given)
        errors.append((found - wanted).abs().max().item())
    # Four bits more divide every step by sixteen.
    assert errors[0] > 4 * errors[1] > 16 * errors[2]
    assert errors[2] < 5e-3


def test_gradients_pass_the_rounding() -> None:
    model = quantised(SHAPE, (2,)).train()
    model(images(8, SHAPE)).square().sum().backward()
    trained = {name for name, value in model.named_parameters() if value.grad is not None}
    assert {"convolutions.0.weight", "convolutions.0.bias", "head.weight"} <= trained
    assert any("activations.0" in name for name in trained)  # the step is learnt
    assert not any(name.startswith("input.") for name in trained)  # what a pixel is stays


def test_a_silent_block_has_a_step_all_the_same() -> None:
    model = student(SHAPE, (2,))
    with torch.no_grad():
        dict(model.named_parameters())["norms.0.bias"].fill_(-100.0)
    assert activation_peaks(model, feed(4, SHAPE)) == [2.0**-8]

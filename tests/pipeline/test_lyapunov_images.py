"""Images and their networks: what is asked of which part, borders of classes, sections."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from geocore.config.lyapunov import ImagesLyapunov
from geocore.errors import UserError
from geocore.explain.hidden import HiddenMap
from geocore.explain.lyapunov import lyapunov_exponents
from geocore.explain.tanh_network import tanh_network
from geocore.pipeline.lyapunov_image_results import ImageResults, _errors, ensemble_figures
from geocore.pipeline.lyapunov_images import ImageTask, answers, image_task, loaded, plane, section
from tests.pipeline.lyapunov_jobs import params

F64 = torch.float64
WIDTHS = (6, 5, 2, 4, 3)


def task() -> ImageTask:
    generator = torch.Generator().manual_seed(0)
    x, truth = torch.randn(20, 6, generator=generator), torch.arange(20) % 3
    return ImageTask(x, truth, x, truth, 3)


def weights() -> dict[str, Tensor]:
    states = [tanh_network(WIDTHS, seed).state_dict() for seed in range(2)]
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def test_pixels_have_mean_0_and_deviation_1() -> None:
    chosen = params("images")
    assert isinstance(chosen, ImagesLyapunov)
    found = image_task(chosen, Path())
    assert found.inputs.shape == (80, 64) and found.test.shape == (60, 64)
    assert float(found.inputs.mean()) == pytest.approx(0, abs=1e-6)
    assert float(found.inputs.std()) == pytest.approx(1, abs=1e-5)
    assert found.digest != task().digest


def test_too_few_classes() -> None:
    chosen = params("images", test=10, train=80)
    assert isinstance(chosen, ImagesLyapunov)
    few = chosen.model_copy(update={"test": 2})
    with pytest.raises(UserError, match=r"lyapunov\.test is 2: images of . class"):
        image_task(few, Path())


def test_answers_are_those_of_each_member() -> None:
    found = answers(task(), tanh_network(WIDTHS, 7), weights(), 1)
    x = task().test.double()
    for member in range(2):
        one = tanh_network(WIDTHS, member).double()
        expected = lyapunov_exponents(HiddenMap(one), x, method="svd").total
        torch.testing.assert_close(found["total"][member], expected, rtol=0, atol=1e-10)
        with torch.no_grad():
            said, place = one(x).softmax(dim=-1), one[:4](x)
        torch.testing.assert_close(found["probabilities"][member], said, rtol=0, atol=1e-14)
        torch.testing.assert_close(found["place"][member], place, rtol=0, atol=1e-14)
    assert found["place"].shape == (2, 20, 2) and float(found["place"].abs().max()) < 1


def test_the_plane_is_what_the_layers_behind_the_bottleneck_make_of_it() -> None:
    found = plane(tanh_network(WIDTHS, 7), weights(), 1, 21)
    behind = loaded(tanh_network(WIDTHS, 7), weights(), 1)[4:]
    point = torch.tensor([[1.0, -0.5]], dtype=F64)  # at place 20, 5 of the grid
    exponent = lyapunov_exponents(HiddenMap(behind), point, method="svd").total
    assert float(found["total"][1, 20, 5]) == pytest.approx(float(exponent[0]), abs=1e-10)
    assert int(found["label"][1, 20, 5]) == int(behind(point).argmax())
    assert bool(((found["auc"] >= 0) & (found["auc"] <= 1)).all())


def test_a_section_goes_through_an_image_of_each_class() -> None:
    found = section(task(), tanh_network(WIDTHS, 7), weights(), 31)
    assert found["classes"].tolist() == [0, 1, 2] and found["total"].shape == (2, 31, 31)
    assert float(found["probabilities"].sum(dim=-1).sub(1).abs().max()) < 1e-12
    apart = task().test[:3].double()
    for a, b in ((0, 1), (0, 2), (1, 2)):
        far = float((found["corners"][a] - found["corners"][b]).norm())
        assert far == pytest.approx(float((apart[a] - apart[b]).norm()), rel=1e-6)
    assert float(found["corners"].abs().max()) < float(found["extent"])


def test_figures_of_an_ensemble() -> None:
    truth = torch.tensor([0, 0, 1, 1])
    one = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.1, 0.9], [0.3, 0.7]], dtype=F64)
    two = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.8, 0.2], [0.3, 0.7]], dtype=F64)
    said = {
        "probabilities": torch.stack([one, two]),
        "total": torch.tensor([[0.0, 3.0, 2.0, 1.0], [0.0, 5.0, 2.0, 1.0]], dtype=F64),
    }
    aucs = {"auc": torch.tensor([0.5, torch.nan], dtype=F64)}
    found = ensemble_figures(truth, said, aucs)
    assert found.wrong.tolist() == [0.0, 1.0, 0.5, 0.0]
    assert found.missed.tolist() == [False, True, False, False]
    assert found.member == 1 - 3 / 8 and found.plane_auc == 0.5
    # Of either member: exponents 0, 3, 2, 1 of images of which the second, and of the other also
    # the third, are wrong: ranks 1, 4, 3, 2 against 2, 4, 2, 2 and 1.5, 3.5, 3.5, 1.5.
    assert found.own == pytest.approx((0.7746 + 0.8944) / 2, abs=1e-4)
    assert found.auc == 1.0 and found.rise("wrong") == pytest.approx(0.949, abs=1e-3)
    groups = found.groups(2)
    assert [group["total"] for group in groups] == [0.5, 3.0]
    assert [group["wrong"] for group in groups] == [0.0, 0.75]
    flat = ensemble_figures(one.argmax(dim=-1), said | {"probabilities": one.expand(2, 4, 2)}, aucs)
    assert math.isnan(flat.rise("wrong")) and math.isnan(flat.auc)
    disagreeing = found.mutual_information
    assert disagreeing.argmax() == 2 and float(disagreeing[0]) == pytest.approx(0, abs=1e-15)


def test_a_correlation_that_is_no_number_does_not_pass() -> None:
    assert math.isnan(_errors([math.nan, 0.5, 0.4]))
    assert _errors([0.0, 0.0]) == 0 and _errors([0.5, 0.5]) == math.inf
    assert _errors([0.1, 0.3]) == pytest.approx(2)
    chosen = params("images")
    assert isinstance(chosen, ImagesLyapunov)
    truth = torch.tensor([0, 1, 1, 0])
    total = torch.arange(8, dtype=F64).view(2, 4)
    shares = torch.tensor([0.9, 0.8, 0.7, 0.6], dtype=F64)
    right = torch.stack([shares, 1 - shares], dim=-1)[:, [0, 1]]
    right[1:3] = right[1:3].flip(-1)  # no member is wrong of any
    said = {"probabilities": right.expand(2, 4, 2), "total": total}
    aucs = {"auc": torch.tensor([0.5, 0.5], dtype=F64)}
    x = torch.zeros(4, 6)
    found = ImageResults(chosen, ImageTask(x, truth, x, truth, 2))
    for _ in range(2):
        found.add(said, aucs)
    (line,) = found.broken()
    assert "rank correlation of wrong with the exponent is nan standard errors above 0" in line

"""Every parameter has its coefficient, and what is not known is refused by name."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import nn

from geocore.models.dropout import DropPath, ElementDropout
from geocore.models.stochastic.convolution import DropoutConv2d
from geocore.models.stochastic.families import Family
from geocore.models.stochastic.layer import Form, StochasticLayer
from geocore.models.stochastic.linear import DropoutLinear
from geocore.models.stochastic.networks import stochastic_cnn, stochastic_mlp
from geocore.models.stochastic.prior import prior_coefficients, weight_cost
from geocore.models.stochastic.resnet import stochastic_resnet


@pytest.mark.parametrize("form", ["matching", "published"])
@pytest.mark.parametrize(
    ("family", "rescale", "matching", "published"),
    [
        ("none", True, 1.0, 1.0),
        ("dropout", True, 1 / 0.7, 0.7),
        ("dropout", False, 0.7, 0.7),
        ("dropconnect", True, 1 / 0.7, 0.7),
        ("dropconnect", False, 0.7, 0.7),
        ("nonparametric", True, 0.5, 0.5),
    ],
)
def test_a_perceptron(
    family: Family, rescale: bool, matching: float, published: float, form: Form
) -> None:
    model = stochastic_mlp((2, 4, 3), family, 0.3, rescale=rescale)
    found = prior_coefficients(model, form)
    c = matching if form == "matching" else published
    half = 0.5 if family == "nonparametric" else 1.0
    first = c if family == "nonparametric" else 1.0  # inputs are not dropped
    expected = {"0.weight": first, "0.bias": half, "2.weight": c, "2.bias": half}
    assert found == pytest.approx(expected)
    assert list(found) == [name for name, _ in model.named_parameters()]


def test_the_cost_of_a_network_is_the_mean_norm_of_the_weights_that_it_uses() -> None:
    families: tuple[Family, ...] = ("dropout", "dropconnect", "nonparametric")
    for family in families:
        model = stochastic_cnn(1, 8, 3, family, 0.3, widths=(4, 4), dtype=torch.float64)
        torch.manual_seed(0)
        total = torch.zeros((), dtype=torch.float64)
        for module in model.modules():
            if isinstance(module, StochasticLayer):
                for one in module.realised(torch.rand(4000, *module.noise_shape)):
                    if one is not None:
                        total += one.detach().square().flatten(1).sum(1).mean()
            else:
                total += sum(p.detach().square().sum() for p in module.parameters(recurse=False))
        # Standard errors are below 0.3 %.
        assert float(total) == pytest.approx(float(weight_cost(model).detach()), rel=0.01)


def test_the_ratio_of_the_two_forms_at_the_reference_probability() -> None:
    layer = DropoutLinear(50, 40, 0.3, bias=False)
    ratio = float(weight_cost(layer).detach()) / float(layer.weight.detach().square().sum())
    assert ratio == pytest.approx(1.4286, abs=1e-4)
    published = float(weight_cost(layer, "published").detach())
    assert published / float(layer.weight.detach().square().sum()) == pytest.approx(0.7, rel=1e-6)


def test_the_gradient_of_the_cost_is_twice_c_omega() -> None:
    model = stochastic_mlp((2, 4, 4, 3), "dropconnect", 0.25, dtype=torch.float64)
    weight_cost(model).backward()
    for name, c in prior_coefficients(model).items():
        parameter = model.get_parameter(name)
        torch.testing.assert_close(parameter.grad, 2 * c * parameter.detach(), atol=1e-14, rtol=0)


def test_norms_and_nested_names() -> None:
    model = stochastic_resnet(3, 10, "dropout", 0.2, widths=(4, 4, 8))
    found = prior_coefficients(model)
    assert list(found) == [name for name, _ in model.named_parameters()]
    assert found["stem.weight"] == 1.0 and found["blocks.0.norm1.weight"] == 1.0
    assert found["blocks.0.conv1.weight"] == found["blocks.1.short.weight"] == 1 / 0.8
    mixed = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), DropoutConv2d(4, 4, 3, 0.5))
    assert list(prior_coefficients(mixed).values()) == [1.0, 1.0, 1.0, 1.0, 2.0, 1.0]


class _Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(3))


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (_Own(), "model.0 is _Own with parameters table"),
        (nn.BatchNorm2d(4), "model.0 is BatchNorm2d with parameters weight, bias"),
        (nn.Dropout(0.1), "model.0 is Dropout, which drops activations"),
        (ElementDropout(0.1), "model.0 is ElementDropout, which drops activations"),
        (DropPath(0.1), "model.0 is DropPath, which drops activations"),
    ],
)
def test_refuses_by_name_what_it_does_not_know(part: nn.Module, told: str) -> None:
    with pytest.raises(TypeError, match=told + ".*; expected "):
        prior_coefficients(nn.Sequential(part, nn.Linear(2, 2)))


def test_dropout_that_drops_nothing_is_let_through() -> None:
    model = nn.Sequential(nn.Dropout(0.0), nn.Linear(2, 2))
    assert prior_coefficients(model) == {"1.weight": 1.0, "1.bias": 1.0}


def test_shared_parameters_count_once_and_need_one_coefficient() -> None:
    first, second, third = nn.Linear(3, 3), nn.Linear(3, 3), DropoutLinear(3, 3, 0.5)
    shared = nn.Parameter(torch.ones(3, 3))
    for layer in (first, second, third):
        layer.register_parameter("weight", shared)
    found = prior_coefficients(nn.Sequential(first, second))
    assert list(found) == ["0.weight", "0.bias", "1.bias"]
    with pytest.raises(ValueError, match=r"1\.weight is shared with 0\.weight at .* 2\.0 and 1\.0"):
        prior_coefficients(nn.Sequential(first, third))


def test_refuses_other_forms_and_nothing_to_weigh() -> None:
    with pytest.raises(ValueError, match="form is 'both'; expected 'matching' or 'published'"):
        prior_coefficients(nn.Linear(2, 2), cast(Form, "both"))
    with pytest.raises(ValueError, match="model has no parameters; expected at least one"):
        weight_cost(nn.ReLU())

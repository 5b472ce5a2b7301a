"""The L2 term of a Gaussian prior on the weights that a network with random weights really uses.

With the prior N(0, sigma^2) on every weight a member minimises::

    mean NLL + 1 / (2 N sigma^2) sum_l c_l ||omega_l||^2

The prior speaks of the weights ``theta`` that are used, the sum of those ``omega`` that are
learned. With ``c_l ||omega_l||^2 = E ||theta_l||^2`` the two agree: the form "matching". The form
"published" has the numbers of the published code of arXiv:2212.08123.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from geocore.models.dropout import DropPath, ElementDropout
from geocore.models.stochastic.filter_response_norm import FilterResponseNorm
from geocore.models.stochastic.layer import Form, StochasticLayer, check_form

__all__ = ["prior_coefficients", "weight_cost"]

_PLAIN = (
    *(nn.Linear, nn.Bilinear, nn.Embedding),
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, FilterResponseNorm, nn.PReLU),
)


def prior_coefficients(model: nn.Module, form: Form = "matching") -> dict[str, float]:
    """``c`` of each parameter in ``c ||omega||^2``, by its name in ``model.named_parameters()``.

    =====================  ==============================================  =====================
    weights of a layer     "matching", ``E ||theta||^2 = c ||omega||^2``    "published"
    =====================  ==============================================  =====================
    dropout, DropConnect   ``1 / (1 - p)``, without ``rescale`` ``1 - p``   ``1 - p``
    non-parametric         1/2                                             1/2
    plain layers, norms    1                                               1
    =====================  ==============================================  =====================

    Biases have 1, those of a non-parametric layer, which has two sets of them, 1/2. Raises
    ``TypeError`` that names a module whose parameters are of no kind known here, and one that
    drops activations (``nn.Dropout`` and the like): what it makes of the next layer's weights
    would be missing. Raises ``ValueError`` for another form, for a model without parameters, and
    for a parameter that two layers share at different ``c``.
    """
    check_form(form)
    found: dict[Tensor, tuple[str, float]] = {}
    for where, module in model.named_modules():
        for name, value in _own(where, module, form).items():
            parameter = module.get_parameter(name)
            full = f"{where}.{name}" if where else name
            other, before = found.setdefault(parameter, (full, value))
            if before != value:
                raise ValueError(
                    f"{full} is shared with {other} at coefficients {value} and {before}; "
                    "expected one coefficient"
                )
    if not found:
        raise ValueError("model has no parameters; expected at least one")
    return dict(found.values())


def weight_cost(model: nn.Module, form: Form = "matching") -> Tensor:
    """``sum_l c_l ||omega_l||^2``, a differentiable scalar: the readable form of the term.

    Divided by ``2 N sigma^2`` it is what goes beside the mean loss of ``N`` samples. Raises as
    ``prior_coefficients``.
    """
    parameters = dict(model.named_parameters())
    costs = [
        c * parameters[name].square().sum() for name, c in prior_coefficients(model, form).items()
    ]
    return torch.stack(costs).sum()


def _own(where: str, module: nn.Module, form: Form) -> dict[str, float]:
    """The coefficients of a module's own parameters, not those of its parts."""
    if isinstance(module, StochasticLayer):
        return module.coefficients(form)
    told = (
        f"model.{where} is {type(module).__name__}"
        if where
        else f"model is {type(module).__name__}"
    )
    drops = isinstance(module, _DropoutNd) and module.p > 0
    if drops or (isinstance(module, DropPath | ElementDropout) and module.probability > 0):
        raise TypeError(f"{told}, which drops activations; expected DropoutLinear or DropoutConv2d")
    names = [name for name, _ in module.named_parameters(recurse=False)]
    if names and not isinstance(module, _PLAIN):
        raise TypeError(
            f"{told} with parameters {', '.join(names)}; expected a stochastic layer, a linear "
            "map, a convolution or a norm without batch statistics"
        )
    return dict.fromkeys(names, 1.0)

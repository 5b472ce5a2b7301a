"""Layers that draw their weights anew for each sample, networks of them, and their prior."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "convolution": ["DropConnectConv2d", "DropoutConv2d", "NonparametricConv2d"],
        "filter_response_norm": ["FilterResponseNorm"],
        "layer": ["StochasticLayer"],
        "linear": ["DropConnectLinear", "DropoutLinear", "NonparametricLinear"],
        "networks": ["stochastic_cnn", "stochastic_mlp"],
        "prior": ["prior_coefficients", "weight_cost"],
        "resnet": ["stochastic_resnet"],
    },
)

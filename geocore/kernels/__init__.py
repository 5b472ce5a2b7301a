"""Networks of infinite width: their kernels in closed form, and regression with them."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "network": ["Architecture", "infinite_network"],
        "block": ["BlockKernel"],
        "assembly": ["assemble", "in_batches", "lower_pairs"],
        "regression": ["Regressor", "ensemble_limit", "posterior", "targets"],
        "subset": ["stratified_order"],
    },
)

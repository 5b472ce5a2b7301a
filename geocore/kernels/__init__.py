"""Networks of infinite width: their kernels in closed form, regression with them, finite twins."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "alignment": ["target_alignment"],
        "composed": ["serial"],
        "empirical": ["empirical_ntk"],
        "twins": ["finite_twin"],
        "network": ["Architecture", "infinite_network"],
        "block": ["BlockKernel"],
        "assembly": ["assemble", "in_batches", "lower_pairs"],
        "regression": ["Regressor", "ensemble_limit", "posterior", "targets"],
        "subset": ["stratified_order"],
    },
)

"""Networks of infinite width: their kernels in closed form, regression with them, finite twins."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "alignment": ["kernel_alignment", "target_alignment"],
        "augmented": ["check_theorem"],
        "composed": ["Kernels", "serial"],
        "empirical": ["empirical_ntk"],
        "gradient_flow": ["GradientFlow", "KernelPredictor"],
        "protocol": ["PairKernel"],
        "regression": ["Regressor", "posterior"],
        "so3_network": ["so3_serial"],
        "stax": ["NeuralTangentsKernel"],
        "symmetrised": ["SymmetrisedKernel"],
        "twins": ["finite_twin"],
    },
)

"""Spherical CNNs: convolutions, nonlinearities and networks that commute with rotations."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "activation": ["S2Activation", "SO3Activation"],
        "convolution": ["S2Convolution", "SO3Convolution"],
        "kernels": ["KernelGrid", "s2_kernel_grid", "so3_kernel_grid"],
        "layout": ["Layout"],
        "networks": ["S2CNNClassifier", "S2CNNSegmenter"],
        "norm": ["EquivariantNorm"],
        "pooling": ["SO3Invariant", "SO3ToS2"],
        "tensor_product": ["TensorProduct"],
    },
)

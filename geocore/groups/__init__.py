"""Finite groups of the plane: how they act on images, and convolutions over them."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "convolution": ["GroupConvolution", "GroupPool", "LiftingConvolution"],
        "finite": ["PlanarGroup"],
        "planar_action": ["OnGroupMaps", "OnImages"],
    },
)

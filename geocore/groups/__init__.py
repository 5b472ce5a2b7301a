"""Groups of the plane: how they act on images, convolutions over them, steerable networks."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "convolution": ["GroupConvolution", "GroupPool", "LiftingConvolution"],
        "finite": ["PlanarGroup"],
        "orbit": ["full_orbit"],
        "planar_action": ["OnGroupMaps", "OnImages"],
        "steerable": ["Layer", "SteerableConvolution", "SteerableNetwork"],
        "steerable_fields": ["Feature", "Fields", "OnFields", "Symmetry"],
        "steerable_plain": ["PlainSteerable"],
    },
)

"""Cameras: the image plane on the sphere, and images resampled at given directions."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "planar": ["PlanarCamera", "look_at"],
        "sampling": ["SharedSampler", "sample_reference"],
        "rotated": ["RotatedSampler"],
    },
)

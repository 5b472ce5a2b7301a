"""Cameras: the image plane on the sphere, and images resampled at given directions."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "lens": ["RadialCamera", "valid_pixels"],
        "models": ["Equidistant", "Equisolid", "Pinhole", "Stereographic"],
        "polynomial": ["RadialPolynomial"],
        "record": ["camera_from_dict", "camera_to_dict"],
        "pose": ["Pose", "look_at", "tilted"],
        "sampling": ["SharedSampler"],
        "rotated": ["RotatedSampler"],
    },
)

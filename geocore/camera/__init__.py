"""Cameras: lenses, the image plane on the sphere and back, images resampled at directions."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "lens": ["RadialCamera", "valid_pixels"],
        "models": ["Equidistant", "Equisolid", "Pinhole", "Stereographic"],
        "polynomial": ["RadialPolynomial"],
        "record": ["camera_from_dict", "camera_to_dict"],
        "calibration": ["read_calibration"],
        "pose": ["look_at"],
        "sampling": ["SharedSampler"],
        "rotated": ["RotatedSampler"],
        "backproject": ["RotatedBackprojector", "SharedBackprojector"],
    },
)

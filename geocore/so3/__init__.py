"""The group SO(3): rotations as unit quaternions and matrices, and their Haar measure."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "rotation": [
            "compose",
            "euler_zyz_to_matrix",
            "geodesic_distance",
            "inverse",
            "matrix_to_quaternion",
            "quaternion_to_matrix",
            "rotation_about_z",
        ],
        "sampling": ["random_rotations", "uniform"],
    },
)

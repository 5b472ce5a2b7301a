"""The group SO(3): rotations, its representations, and Fourier transforms on it and the sphere."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "coupling": ["clebsch_gordan"],
        "harmonics": ["spherical_harmonics"],
        "rotation": [
            "compose",
            "euler_zyz_to_matrix",
            "geodesic_distance",
            "inverse",
            "matrix_to_euler_zyz",
            "matrix_to_quaternion",
            "quaternion_to_matrix",
        ],
        "s2_rotation": ["S2Rotation"],
        "s2_transform": ["S2Transform"],
        "sampling": ["random_rotations"],
        "so3_transform": ["SO3Transform"],
        "wigner": ["wigner_D", "wigner_d"],
    },
)

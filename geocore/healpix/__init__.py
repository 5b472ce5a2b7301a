"""HEALPix: index mathematics, interpolation, discs, exact symmetries.

Windows, pictures, interpolated rotations and what lies below stand in modules of their own.
"""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "grid": ["nest2ring", "pix2ang", "pix2vec", "pixel_centres", "ring2nest"],
        "locate": ["ang2pix", "vec2pix"],
        "adjacency": ["neighbours"],
        "interpolate": ["interp_weights"],
        "hierarchy": ["ud_grade"],
        "disc": ["query_disc"],
        "symmetry": ["GridSymmetries", "QuarterTurns"],
        "shifts": ["ShiftPlan", "shift_plan"],
    },
)

"""HEALPix: index mathematics, exact symmetries, rotated maps, pictures."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "grid": ["nest2ring", "nest2xyf", "pix2vec", "pixel_centres", "ring2nest", "xyf2nest"],
        "locate": ["vec2pix"],
        "stencil": ["Stencil"],
        "symmetry": ["QuarterTurns", "quarter_turn"],
        "rotate": ["MapRotation"],
        "draw": ["montage", "mollweide", "orthographic", "write_png"],
    },
)

"""geocore: geometric deep learning on spheres, groups and manifolds.

``import geocore`` is cheap: rooms are imported when they are first used.
"""

from geocore._lazy import attach

__version__ = "0.1.0"

__getattr__, __dir__, _exports = attach(
    __name__,
    {
        "camera": [],
        "config": [],
        "data": [],
        "healpix": [],
        "measure": [],
        "models": [],
        "pipeline": [],
        "runs": [],
        "so3": [],
        "testing": [],
        "train": [],
        "errors": ["UserError"],
    },
)
__all__ = ["__version__", *_exports]

"""Parts of the comparison's page: each takes the snapshots and gives a piece of HTML, or nothing.

Whatever stands for one run carries ``data-run``, its place among the snapshots.
"""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "chip": ["chip_panel"],
        "equivariance": ["equivariance_panel"],
        "provenance": ["provenance_panel"],
        "twins": ["twins_panel"],
    },
)

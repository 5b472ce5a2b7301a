"""Pictures of what a run measured, runs and revisions compared, and pages of both."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "alignment": ["aligned"],
        "canvas": ["Axis", "Canvas", "Frame"],
        "charts": ["Curve", "confusion_chart", "layer_chart", "reliability_chart"],
        "comparison": ["Comparison", "Difference", "compare"],
        "page": ["comparison_page"],
        "reading": ["read_snapshot"],
        "snapshot": ["Snapshot"],
    },
)

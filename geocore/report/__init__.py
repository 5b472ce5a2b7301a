"""Pictures of what a run measured."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "canvas": ["Axis", "Canvas", "Frame"],
        "charts": ["Curve", "confusion_chart", "layer_chart", "reliability_chart"],
    },
)

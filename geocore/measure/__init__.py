"""Measures: classification, calibration, uncertainty, equivariance. Group actions are callables."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "classification": [
            "ClassScores",
            "accuracy",
            "brier",
            "class_scores",
            "confusion_matrix",
            "nll",
        ],
        "calibration": ["Reliability", "calibration_error", "reliability"],
        "uncertainty": ["entropy", "mutual_information"],
        "equivariance": ["equivariance_error", "layer_errors", "relative_error"],
    },
)

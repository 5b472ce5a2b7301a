"""Measures: classification, segmentation, depth, point clouds, calibration, uncertainty,
equivariance. Group actions are callables.
"""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "classification": ["ClassScores", "accuracy", "brier", "class_scores", "nll"],
        "segmentation": ["PixelCounts", "class_iou", "mean_iou"],
        "depth": ["DepthErrors"],
        "chamfer": ["chamfer"],
        "calibration": ["calibration_error"],
        "uncertainty": ["entropy", "mutual_information"],
        "equivariance": ["equivariance_error", "relative_error"],
    },
)

"""The training loop: optimiser, checkpoints, exact resume; callbacks, no knowledge of runs."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "checkpoint": ["read_checkpoint", "write_checkpoint"],
        "device": ["resolve"],
        "feed": ["Feed", "table_feed", "tensor_feed"],
        "loop": ["score", "train"],
        "objective": ["Objective", "recorded"],
        "optimiser": ["make_optimiser"],
        "randomness": ["deterministic", "epoch_order"],
        "schedule": ["learning_rate"],
        "state": ["TrainState"],
    },
)

"""Many networks at once: seeds and chunks of an ensemble, its members' training, their mixture."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "chunk": ["train_chunk", "weights_name"],
        "members": ["train_member"],
        "mixture": ["Mixture"],
        "seeds": ["in_chunks", "member_seeds"],
    },
)

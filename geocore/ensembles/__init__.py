"""Many networks at once: trained as one program, seeds and chunks, their mixture, posteriors."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "chunk": ["train_chunk", "weights_name"],
        "engine": ["Samples", "start_ensemble", "train_ensemble"],
        "losses": ["CrossEntropy", "SquaredError"],
        "mixture": ["Mixture"],
        "orbit_closed": ["OrbitClosed"],
        "plan": ["Plan"],
        "seeds": ["in_chunks", "member_seeds"],
    },
)

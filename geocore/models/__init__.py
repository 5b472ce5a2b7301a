"""Networks built from the layers below: ``build`` makes one, ``load`` reads a trained one."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "blocks": ["Block", "PatchEmbedding", "PatchMerging"],
        "heal_swin": ["HealSwin"],
        "healpix_encoder": ["HealpixEncoder"],
        "initial": ["initialise"],
        "mixing": ["Attention", "TokenMlp", "attention_reference"],
        "pairs": ["orbit_pairs", "window_pairs"],
        "registry": ["ModelInfo", "build", "load"],
        "swin": ["Swin"],
    },
)

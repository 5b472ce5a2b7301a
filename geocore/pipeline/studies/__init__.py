"""Studies: folders below ``studies/``, each with its own pipeline and what a paper claims."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "page": ["Headline", "read_page"],
        "papers": ["PAPERS", "Paper"],
        "scaffold": ["new_study"],
        "state": ["Study", "survey"],
    },
)

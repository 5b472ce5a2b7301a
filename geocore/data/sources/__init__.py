"""Where images come from: one small interface, one source a file."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "base": ["Batch", "Source"],
        "home": ["data_home"],
        "opening": ["open_source"],
    },
)

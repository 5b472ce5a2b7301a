"""Sources of images, their split, and the one typed table that samples travel in."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "tabletype": ["Camera", "TableInfo", "TableType"],
        "table": ["Table", "TableWriter"],
    },
)

"""The run ledger and the piece store: what a run did, and what need not be done again.

This room imports no mathematics and no orchestrator: the standard library is all it stands on.
"""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "atomic": ["replacing", "write_json", "write_text"],
        "closure": ["code_digest", "import_closure"],
        "digest": ["digest_file", "digest_json"],
        "home": ["project_root"],
        "ledger": ["Ledger", "Run"],
        "locks": ["hold"],
        "parts": ["Parts"],
        "store": ["Piece", "Store", "piece_key"],
    },
)

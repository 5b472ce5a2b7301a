"""Where Prefect lives and what it may not do, settled before it is imported.

Everything stays inside the project (``.prefect/``), on 127.0.0.1, and silent towards the outside.
A variable that the user has set is respected.
"""

from __future__ import annotations

import os
from pathlib import Path

from geocore.runs.home import project_root

__all__ = ["settle"]


def settle(start: Path | None = None) -> Path:
    """Set the defaults for this process and its children; return the project's root."""
    root = project_root(start)
    defaults = {
        "PREFECT_HOME": str(root / ".prefect"),
        "PREFECT_LOCAL_STORAGE_PATH": str(root / ".prefect" / "manifests"),
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
        "DO_NOT_TRACK": "1",
        "DVC_NO_ANALYTICS": "1",
        "DVC_STUDIO_OFFLINE": "true",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    return root

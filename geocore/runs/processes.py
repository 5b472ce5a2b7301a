"""Is the process that left this behind still alive?"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["alive", "start_ticks"]


def _stat(pid: int) -> list[str] | None:
    """Fields 3.. of ``/proc/PID/stat``, or None where there is no such process or no procfs."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 1 :].split()  # the name before may hold blanks and brackets


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot: tells a reused pid from its first owner.

    None where the system does not say.
    """
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def alive(pid: int, ticks: int | None = None) -> bool:
    """True if ``pid`` runs (a zombie does not), and started at ``ticks`` where that is given."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, so it lives
    fields = _stat(pid)
    if fields is None:
        return True
    return fields[0] not in "ZX" and (ticks is None or int(fields[19]) == ticks)

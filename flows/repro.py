"""The flow that every deployment runs: ``dvc repro`` of its targets, so that dvc.lock is true."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from prefect import flow

from geocore.errors import UserError
from tasks.environment import settle

__all__ = ["repro"]


@flow(name="repro", description="dvc repro of the targets, as a subprocess")
def repro(targets: list[str] | None = None, root: str = ".") -> int:
    """Bring ``targets`` (none: the whole pipeline) up to date; raises if a stage fails.

    DVC runs in a process of its own: two threads of one process could run a stage twice.
    """
    command = [sys.executable, "-m", "dvc", "repro", *(targets or [])]
    done = subprocess.run(command, cwd=Path(root), check=False)
    if done.returncode != 0:
        named = " ".join(targets or ["the pipeline"])
        raise UserError(f"dvc repro {named}: exit code {done.returncode}; expected 0")
    return done.returncode


if __name__ == "__main__":
    from flows.stage import run_flow

    sys.exit(run_flow("repro", lambda: repro(sys.argv[1:] or None, str(settle()))))

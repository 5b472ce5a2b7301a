"""What a Prefect flow costs over the bare function: the stage ``gate``, process start included.

Run ``make repro`` first: the stage needs its input, and the flow a server that runs. Each row is
the best of several runs of a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

from geocore.runs.home import project_root

BARE = """
from pathlib import Path
from geocore.pipeline.gate import STAGE
from geocore.pipeline.run import open_job
job = open_job(STAGE, Path.cwd())
STAGE.write(job, STAGE.make(job))
"""


def seconds(command: list[str], repeats: int) -> float:
    """Best wall time of a command that must succeed."""
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run(command, cwd=project_root(), check=True, capture_output=True)
        best = min(best, time.perf_counter() - started)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    bare = seconds([sys.executable, "-c", BARE], repeats)
    flow = seconds([sys.executable, "-m", "flows.gate"], repeats)
    table = Table("what", "seconds", "over the bare function", title="stage gate, best of runs")
    table.add_row("bare function", f"{bare:.2f}", "")
    table.add_row("flow", f"{flow:.2f}", f"{flow - bare:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()

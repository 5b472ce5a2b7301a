"""A whole kernel of digits through the piece store: predicted, measured, killed and resumed.

    python benchmarks/kernel_matrix.py
    python benchmarks/kernel_matrix.py --samples 400 --block 64

The equivariant kernel (C4: lift, one group convolution, ReLUs, pools, Dense; circular 3 x 3
filters) of 2,000 digits with each other, in blocks over pairs of batches, half of them, two at a
time. scikit-learn has 1,797 digits of 8 x 8; the 203 others are the first of them turned by a
quarter, which the kernel cannot tell from those. A process of its own computes each matrix in an
empty store, after a prediction from small blocks. One in float32, undisturbed; one in float64 that
is killed (``kill -9``) once half of its blocks are there and started again. Some rows are then
compared with the kernel computed without blocks. What came stands in
``results/kernel_matrix.txt``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from torch import Tensor

from geocore.config.runtime import RuntimeParams, usable_cores
from geocore.kernels.composed import InfiniteNetwork, serial
from geocore.kernels.group_layers import GroupConvolution, GroupPool, LiftingConvolution
from geocore.kernels.layers import Dense, GlobalAveragePool, Relu
from geocore.pipeline.kernel_blocks import StoredKernels
from geocore.pipeline.kernel_cost import KernelTask, predicted, probe_store, probe_task
from geocore.pipeline.ntk import STAGE
from geocore.pipeline.progress import Progress
from geocore.pipeline.stage import Job
from geocore.runs.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--block", type=int, help="samples of a batch; by default by what it costs")
    parser.add_argument("--workers", type=int, default=0, help="blocks at once; 0: one a core")
    chosen = parser.parse_args()
    x, turned = digits(chosen.samples)
    console = Console(width=110)
    console.print(
        f"{len(x)} digits, {turned} of them others turned by a quarter; "
        f"{usable_cores()} cores; torch {torch.__version__}; {sys.platform}\n"
    )
    table = Table(
        "",
        *HEADS,
        title="seconds on the clock but for the processor's; made anew: of the blocks there",
    )
    for dtype, interrupted in ((torch.float32, False), (torch.float64, True)):
        with TemporaryDirectory(prefix="geocore-kernel-") as folder:
            row = measured(Path(folder), x, dtype, chosen.block, chosen.workers, interrupted)
        name = str(dtype).removeprefix("torch.") + (", killed" if interrupted else "")
        table.add_row(name, *row)
    console.print(table)


HEADS = ("predicted", "measured", "ratio", "processor", "blocks", "made anew", "MiB", "error")


def digits(count: int) -> tuple[Tensor, int]:
    """``count`` images ``(n, 1, 8, 8)`` in [0, 1], and how many are others turned by a quarter."""
    real = torch.from_numpy(load_digits().images)[:, None] / 16
    turned = max(0, count - len(real))
    return torch.cat([real[:count], real[:turned].rot90(dims=(2, 3))]), turned


def network() -> InfiniteNetwork:
    return serial(
        LiftingConvolution(3, padding="circular"),
        Relu(),
        GroupConvolution(3, padding="circular"),
        Relu(),
        GroupPool(),
        GlobalAveragePool(),
        Dense(),
    )


def measured(
    root: Path, x: Tensor, dtype: torch.dtype, block: int | None, workers: int, interrupted: bool
) -> list[str]:
    """The table's row of one matrix."""
    task = KernelTask("digits", network(), x, None, block, dtype)
    at_once = min(workers or usable_cores(), task.blocks)
    told = predicted(task, probe_task(task, at_once, 10.0), probe_store(root))
    apart = multiprocessing.get_context("spawn")
    arguments = (root, x, dtype, block, workers)
    seconds = processor = 0.0
    before = 0
    if interrupted:
        child = apart.Process(target=compute, args=arguments)
        child.start()
        while len(pieces(root)) < task.blocks // 2 and child.is_alive():
            time.sleep(0.02)
        assert child.pid is not None
        processor += processor_seconds(child.pid)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        seconds += time.time() - float((root / "began").read_text())
        before = len(pieces(root))
    child = apart.Process(target=compute, args=arguments)
    child.start()
    child.join()
    if child.exitcode != 0:
        raise SystemExit(f"the process ended with {child.exitcode}")
    notes: dict[str, Any] = json.loads((root / "notes.json").read_text())
    processor += notes["processor"]
    seconds += notes["ended"] - float((root / "began").read_text())
    (cost,) = notes["kernel_cost"].values()
    # Of the blocks that lay there before, those that were computed a second time.
    anew = cost["made"] - (task.blocks - before)
    disk = sum(file.stat().st_size for file in (root / "store").rglob("*") if file.is_file())
    return [
        f"{told.seconds:.0f}", f"{seconds:.0f}", f"{told.seconds / seconds:.2f}",
        f"{processor:.0f}", f"{task.blocks} of {task.size}",
        f"{anew} of {before}" if interrupted else "-", f"{disk / 2**20:.0f}",
        f"{notes['error']:.1e}",
    ]  # fmt: skip


def pieces(root: Path) -> list[Path]:
    """Of the store, those that are whole."""
    return list(root.glob("store/pieces/*/[0-9a-f]*"))


def processor_seconds(pid: int) -> float:
    """That a process has taken so far, its threads' together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def compute(root: Path, x: Tensor, dtype: torch.dtype, block: int | None, workers: int) -> None:
    """The matrix, in this process; what it noted goes to a file."""
    torch.set_num_threads(1)
    (root / "began").write_text(str(time.time()))  # without the time to import
    notes: dict[str, Any] = {}
    lock = threading.Lock()

    def note(**values: Any) -> None:
        with lock:
            for name, value in values.items():
                notes.setdefault(name, {}).update(value)

    runtime = RuntimeParams(
        device="cpu", threads=1, workers=workers, checkpoint_every=1, progress=False
    )
    job = Job(
        stage=STAGE,
        root=root,
        sections={"runtime": runtime},
        values={},
        inputs={},
        store=Store(root / "store"),
        work=root / "work",
        key="0" * 32,
        code="",
        progress=Progress(False),
        note=note,
    )
    kernel = network()
    found = StoredKernels(job, block=block, dtype=dtype).symmetric(kernel, x, name="digits")
    notes |= {"processor": time.process_time(), "ended": time.time()}
    rows = torch.arange(0, len(x), max(1, len(x) // 5))[:5]
    plain = kernel.kernel(x[rows].to(dtype), x[::40].to(dtype))
    error = (found.ntk[rows][:, ::40] - plain.ntk).abs().max() / plain.ntk.max()
    notes["error"] = float(error)
    (root / "notes.json").write_text(json.dumps(notes))


if __name__ == "__main__":
    main()

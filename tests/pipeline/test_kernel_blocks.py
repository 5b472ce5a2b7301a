"""Matrices from blocks of the store: the kernel's own numbers, whatever happened on the way."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.config.runtime import RuntimeParams
from geocore.errors import UserError
from geocore.groups.finite import PlanarGroup
from geocore.kernels.block import kernel_block
from geocore.kernels.composed import InfiniteNetwork, Kernels, serial
from geocore.kernels.group_layers import GroupConvolution, GroupPool, LiftingConvolution
from geocore.kernels.layers import Dense, Erf, GlobalAveragePool, Relu
from geocore.pipeline.kernel_batches import deciding_modules
from geocore.pipeline.kernel_blocks import StoredKernels
from geocore.pipeline.ntk import STAGE
from geocore.pipeline.progress import Bar, Progress
from geocore.pipeline.stage import Job
from geocore.runs.store import Store

COMPUTED = "geocore.pipeline.kernel_blocks.kernel_block"
NETWORK = serial(Dense(weight_std=1.3, bias_std=0.1), Relu(), Dense())
SAMPLES, SIZE = 23, 5
BLOCKS = 15  # 5 batches, the last of 3 samples: half of their pairs


def job_in(root: Path, notes: dict[str, Any] | None = None, workers: int = 1) -> Job:
    lock = threading.Lock()

    def note(**values: Any) -> None:
        with lock:
            for name, value in values.items():
                if notes is not None and isinstance(value, dict):
                    notes.setdefault(name, {}).update(value)
                elif notes is not None:
                    notes[name] = value

    runtime = RuntimeParams(
        device="cpu", threads=1, workers=workers, checkpoint_every=1, progress=False
    )
    return Job(
        stage=STAGE,
        root=root,
        sections={"runtime": runtime},
        values={},
        inputs={},
        store=Store(root / "store"),
        work=root / "work",
        key="0" * 32,
        code="code",
        progress=Progress(False),
        note=note,
    )


def samples(count: int = SAMPLES, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 6, generator=generator, dtype=torch.float64)


def made(notes: dict[str, Any]) -> tuple[int, int]:
    states = list(notes["pieces"].values())
    return states.count("made"), states.count("found")


def stored(root: Path, notes: dict[str, Any] | None = None, **options: Any) -> StoredKernels:
    workers = options.pop("workers", 1)
    return StoredKernels(job_in(root, notes, workers), **{"block": SIZE} | options)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_kernel_of_the_whole(tmp_path: Path, dtype: torch.dtype, workers: int) -> None:
    """To a few roundings: sums over features may be ordered by a block's size."""
    x, y = samples(), samples(7, seed=1)
    kernels = stored(tmp_path, dtype=dtype, workers=workers)
    rounding = 16 * torch.finfo(dtype).eps
    for found, expected in (
        (kernels.symmetric(NETWORK, x), NETWORK.kernel(x.to(dtype))),
        (kernels.cross(NETWORK, y, x), NETWORK.kernel(y.to(dtype), x.to(dtype))),
        (kernels.diagonal(NETWORK, x), NETWORK.diagonal(x.to(dtype))),
    ):
        assert found.ntk.dtype == dtype and found.ntk.shape == expected.ntk.shape
        torch.testing.assert_close(found.nngp, expected.nngp, rtol=rounding, atol=0)
        # Of a sample with itself no better than the root of a rounding: see geocore.kernels.dual.
        rough = {torch.float32: 1e-3, torch.float64: 1e-7}[dtype]
        torch.testing.assert_close(found.ntk, expected.ntk, rtol=rough, atol=0)
    found = kernels.symmetric(NETWORK, x)
    assert torch.equal(found.ntk, found.ntk.T) and torch.equal(found.nngp, found.nngp.T)


def test_bytes_do_not_depend_on_how_many_are_worked_on_at_once(tmp_path: Path) -> None:
    one = stored(tmp_path / "one").symmetric(NETWORK, samples())
    four = stored(tmp_path / "four", workers=4).symmetric(NETWORK, samples())
    assert torch.equal(one.nngp, four.nngp) and torch.equal(one.ntk, four.ntk)


def test_it_is_memory_mapped_and_its_file_stays_as_it_is(tmp_path: Path) -> None:
    kernels = stored(tmp_path)
    found = kernels.symmetric(NETWORK, samples())
    (file,) = tmp_path.glob("store/pieces/*/*/ntk.npy")
    assert str(file) in Path("/proc/self/maps").read_text() or not Path("/proc").exists()
    before = file.read_bytes()
    found.ntk.fill_(0)
    assert file.read_bytes() == before
    assert kernels.symmetric(NETWORK, samples()).ntk.abs().min() > 0
    np.testing.assert_array_equal(np.load(file), kernels.symmetric(NETWORK, samples()).ntk)


def test_a_full_disk_is_told_before_it_is_written_to_through_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There it could not be told: the process would be killed."""

    def refuse(descriptor: int, start: int, size: int) -> None:
        assert size == os.fstat(descriptor).st_size
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    monkeypatch.setattr("geocore.pipeline.kernel_blocks.assemble", None)  # nothing is written
    kernels = stored(tmp_path)
    with pytest.raises(UserError, match="no space left on device while writing "):
        kernels.symmetric(NETWORK, samples())
    assert len(set(kernels.parts)) == BLOCKS and not list(tmp_path.glob("store/pieces/*/.*"))


def test_a_disk_with_room_for_no_more_than_the_matrix_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long it should have taken is then not known."""

    def refuse(root: Path) -> None:
        raise UserError("no space left on device")

    monkeypatch.setattr("geocore.pipeline.kernel_blocks.probe_store", refuse)
    notes: dict[str, Any] = {}
    found = stored(tmp_path, notes).symmetric(NETWORK, samples())
    assert torch.equal(found.ntk, stored(tmp_path / "other").symmetric(NETWORK, samples()).ntk)
    (cost,) = notes["kernel_cost"].values()
    assert cost.keys() == {"blocks", "made", "workers", "seconds"}


def test_a_second_time_it_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = stored(tmp_path)
    first.symmetric(NETWORK, samples())
    assert len(set(first.parts)) == BLOCKS + 1
    monkeypatch.setattr(COMPUTED, None)  # nothing is computed
    notes: dict[str, Any] = {}
    bar = Bar(BLOCKS, lambda done, note: None)
    again = stored(tmp_path, notes, bar=bar)
    again.symmetric(NETWORK, samples())
    assert made(notes) == (0, 1) and again.parts == first.parts[-1:]
    assert bar.done == BLOCKS and "kernel_cost" not in notes


def test_blocks_are_shared_between_matrices(tmp_path: Path) -> None:
    stored(tmp_path).symmetric(NETWORK, samples(10))
    notes: dict[str, Any] = {}
    stored(tmp_path, notes).symmetric(NETWORK, samples(20))
    assert made(notes) == (10 - 3 + 1, 3)
    cost = notes["kernel_cost"]["inputs 20 x 20"]
    assert (cost["blocks"], cost["made"]) == (10, 7)


@pytest.mark.parametrize(
    "change",
    [
        {"network": serial(Dense(weight_std=1.3, bias_std=0.1), Erf(), Dense())},
        {"network": serial(Dense(weight_std=1.2, bias_std=0.1), Relu(), Dense())},
        {"dtype": torch.float32},
        {"code": ("geocore.kernels.subset",)},
        {"x": samples(seed=1)},
    ],
)
def test_whatever_decides_a_block_makes_another(tmp_path: Path, change: dict[str, Any]) -> None:
    stored(tmp_path).symmetric(NETWORK, samples())
    notes: dict[str, Any] = {}
    network, x = change.pop("network", NETWORK), change.pop("x", samples())
    stored(tmp_path, notes, **change).symmetric(network, x)
    assert made(notes) == (BLOCKS + 1, 0)


def test_the_code_of_all_that_a_kernel_holds_decides() -> None:
    lifted = serial(
        LiftingConvolution(3, group=PlanarGroup(4)), Relu(), GlobalAveragePool(), GroupPool(),
        Dense(),
    )  # fmt: skip
    found = deciding_modules(lifted)
    assert {"geocore.kernels.composed", "geocore.kernels.group_layers"} <= found
    assert "geocore.kernels.layers" in found and "geocore.groups.finite" in found
    assert deciding_modules((lifted,)) == found


def killed_in(root: Path, blocks: int) -> None:
    """Compute in two threads; ``kill -9`` as the block after so many begins."""
    begun: list[int] = []

    def compute_or_die(*inputs: Any) -> Kernels:
        begun.append(1)
        if len(begun) > blocks:
            os.kill(os.getpid(), signal.SIGKILL)
        return kernel_block(*inputs)

    from geocore.pipeline import kernel_blocks

    setattr(kernel_blocks, "kernel_block", compute_or_die)  # noqa: B010
    stored(root, workers=2).symmetric(NETWORK, samples())


def test_killed_it_goes_on_with_the_blocks_that_are_left(tmp_path: Path) -> None:
    """``kill -9``, in the middle; then again, to the bytes of an undisturbed run."""
    code = (
        f"import runpy, pathlib; found = runpy.run_path({__file__!r}); "
        f"found['killed_in'](pathlib.Path({str(tmp_path)!r}), 7)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    finished = len(list(Store(tmp_path / "store").pieces()))
    assert 6 <= finished <= 7  # the other one at work died with it, or had just been kept
    notes: dict[str, Any] = {}
    found = stored(tmp_path, notes).symmetric(NETWORK, samples())
    assert made(notes) == (BLOCKS - finished + 1, finished)
    undisturbed = stored(tmp_path / "undisturbed").symmetric(NETWORK, samples())
    assert torch.equal(found.nngp, undisturbed.nngp) and torch.equal(found.ntk, undisturbed.ntk)
    assert json.dumps(notes["kernel_cost"])


def mistake(root: Path, network: InfiniteNetwork, *inputs: Tensor) -> str:
    kernels = stored(root)
    with pytest.raises(UserError) as error:
        kernels.symmetric(network, *inputs) if len(inputs) == 1 else kernels.cross(network, *inputs)
    (line,) = error.value.lines
    assert not list(Store(root / "store").pieces())
    return line


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    x = samples(6)
    assert mistake(tmp_path, NETWORK, x, x[:, :4]) == (
        "params.yaml: ntk: inputs are (6, 6) and (6, 4); expected one shape of a sample"
    )
    x[3, 1] = torch.nan
    assert mistake(tmp_path, NETWORK, x) == (
        "params.yaml: ntk: inputs are not finite at sample 3; expected finite numbers"
    )
    assert mistake(tmp_path, NETWORK, samples(6) * 1e200) == (
        "params.yaml: ntk: a variance before Relu is inf; expected one whose square float64 holds: "
        "other weights or inputs"
    )
    assert mistake(tmp_path, NETWORK, x[:0]) == (
        "params.yaml: ntk: inputs are none; expected at least one sample"
    )
    lifted = serial(
        LiftingConvolution(3, group=PlanarGroup(4)), Relu(), GlobalAveragePool(), GroupPool(),
        Dense(),
    )  # fmt: skip
    assert mistake(tmp_path, lifted, torch.rand(3, 1, 8, 6)) == (
        "params.yaml: ntk: LiftingConvolution with stride 1 on maps (8, 6); expected square maps "
        "whose windows C4 maps onto each other"
    )
    c8 = serial(
        LiftingConvolution(3, group=PlanarGroup(8)), Relu(),
        GroupConvolution(3, rotation_support=False), GroupPool(), GlobalAveragePool(), Dense(),
    )  # fmt: skip
    assert mistake(tmp_path, c8, torch.rand(3, 2)).startswith("params.yaml: ntk: ")


def test_bad_settings(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="block is 0; expected at least 1"):
        stored(tmp_path, block=0)
    with pytest.raises(ValueError, match=r"dtype is torch\.float16; expected torch\.float32"):
        stored(tmp_path, dtype=torch.float16)

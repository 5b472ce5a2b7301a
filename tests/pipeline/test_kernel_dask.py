"""Blocks on a Dask cluster: the same bytes, and one line for a mistake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("distributed")

from geocore.errors import UserError
from geocore.kernels.block import kernel_block
from geocore.pipeline.kernel_dask import DaskBlocks, compute_block
from geocore.runs import cluster as clusters
from geocore.runs.closure import code_digest
from geocore.runs.cluster import Cluster, made_by
from tests.ensembles.dask_cluster import DaskProcesses, cluster
from tests.pipeline.test_kernel_blocks import BLOCKS, NETWORK, made, samples, stored

MODULES = ["geocore.kernels.block"]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    with cluster(tmp_path_factory.mktemp("cluster"), "only") as found:
        yield found


def test_the_bytes_are_those_of_blocks_here(
    one: DaskProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GEOCORE_DASK", raising=False)
    here = stored(tmp_path / "here").symmetric(NETWORK, samples())
    monkeypatch.setenv("GEOCORE_DASK", one.address)
    monkeypatch.setattr("geocore.pipeline.kernel_blocks.kernel_block", None)  # none is made here
    notes: dict[str, Any] = {}
    kernels = stored(tmp_path / "there", notes)
    there = kernels.symmetric(NETWORK, samples())
    assert torch.equal(here.nngp, there.nngp) and torch.equal(here.ntk, there.ntk)
    assert made(notes) == (BLOCKS + 1, 0) and notes["dask"] == one.address
    with pytest.raises(UserError, match=r"params\.yaml: ntk: a variance before Relu is inf; exp"):
        kernels.symmetric(NETWORK, samples() * 1e200)


def request(**changes: Any) -> dict[str, Any]:
    x = samples(4).numpy()
    return {
        "kernel": NETWORK, "x1": x, "x2": None, "modules": MODULES,
        "made_by": made_by(code_digest(MODULES)), **changes,
    }  # fmt: skip


def test_the_task_alone() -> None:
    found, expected = compute_block(request())["kernels"], kernel_block(NETWORK, samples(4))
    for k, own in zip(found, expected, strict=True):
        assert torch.equal(torch.from_numpy(k), own)
    assert "(4, 6) and" in compute_block(request(x2=samples(3)[:, :2].numpy()))["refused"]
    other = {**made_by(code_digest(MODULES)), "torch": "1.0"}
    (line,) = compute_block(request(made_by=other))["error"]
    assert line == (
        f"a Dask worker has torch {torch.__version__}; expected 1.0, as here, so that results are "
        "the same"
    )


def test_no_scheduler_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "_CONNECT", 0.2)
    with (
        Cluster("tcp://127.0.0.1:9") as nowhere,
        pytest.raises(UserError, match=r"GEOCORE_DASK is tcp://127\.0\.0\.1:9, and no Dask schedu"),
    ):
        DaskBlocks(nowhere, MODULES).block(NETWORK, samples(2), None)

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
from geocore.pipeline import kernel_dask
from geocore.pipeline.kernel_dask import DaskBlocks, compute_block, scheduler_address
from tests.ensembles.dask_cluster import Cluster, cluster
from tests.pipeline.test_kernel_blocks import BLOCKS, NETWORK, made, samples, stored

MODULES = ["geocore.kernels.block"]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster"), "only") as found:
        yield found


def test_the_bytes_are_those_of_blocks_here(
    one: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    made_by = kernel_dask._made_by(MODULES)
    return {
        "kernel": NETWORK, "x1": x, "x2": None, "modules": MODULES, "made_by": made_by, **changes,
    }  # fmt: skip


def test_the_task_alone() -> None:
    found, expected = compute_block(request())["kernels"], kernel_block(NETWORK, samples(4))
    for k, own in zip(found, expected, strict=True):
        assert torch.equal(torch.from_numpy(k), own)
    assert "(4, 6) and" in compute_block(request(x2=samples(3)[:, :2].numpy()))["refused"]
    other = {**kernel_dask._made_by(MODULES), "torch": "1.0"}
    assert compute_block(request(made_by=other)) == {
        "error": f"a Dask worker has torch {other['torch'] and torch.__version__}; expected 1.0, "
        "as here, so that results are the same"
    }


def test_no_scheduler_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_dask, "_CONNECT", 0.2)
    with (
        DaskBlocks("tcp://127.0.0.1:9", MODULES) as nowhere,
        pytest.raises(UserError, match=r"GEOCORE_DASK is tcp://127\.0\.0\.1:9, and no Dask schedu"),
    ):
        nowhere.block(NETWORK, samples(2), None)


def test_what_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("localhost", "http://a:1", "tcp://a"):
        monkeypatch.setenv("GEOCORE_DASK", value)
        with pytest.raises(UserError, match="expected tcp://HOST:PORT"):
            scheduler_address()
    monkeypatch.setenv("GEOCORE_DASK", " ")
    assert scheduler_address() is None

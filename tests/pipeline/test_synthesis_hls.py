"""What hls4ml is handed of the network's own queues."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from geocore.edge.dataflow import Timing, flow
from geocore.edge.estimate import estimate
from geocore.edge.firmware import FirmwareOptions
from geocore.errors import UserError
from geocore.pipeline import synthesis_hls
from geocore.pipeline.synthesis_hls import HlsFlow
from geocore.pipeline.synthesis_layout import planned_layout
from tests.edge.networks import branched, tiny
from tests.pipeline.test_synthesize import job_in, write_table

OPTIONS = FirmwareOptions(
    io_type="io_stream", strategy="Latency", reuse_factor=1, backend="Vitis", clock_period=5.0,
    part="xczu9eg-ffvb1156-2-e",
)  # fmt: skip


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_streams_before_joins_are_as_long_as_they_must_be(tmp_path: Path) -> None:
    write_table(tmp_path)
    notes: dict[str, str] = {}
    model, job = branched(), job_in(tmp_path, notes)
    layout = planned_layout(job, model, "branched", dense_cycles=None)
    joined = {node.name for node in model.nodes if len(node.sources) > 1}
    assert layout.queues and {reader for _, reader in layout.queues} <= joined
    latency = estimate(model, layout).kernels
    assert not flow(model, Timing(latency, layout.lanes, layout.queues), 4).stopped
    assert planned_layout(job, model, "branched", dense_cycles=None) == layout
    assert list(notes.values()) == ["found"]
    # What waits in them counts in the estimate.
    without = dataclasses.replace(layout, queues={})
    assert estimate(model, layout).total.lut.value > estimate(model, without).total.lut.value
    assert planned_layout(job, tiny(), "tiny", dense_cycles=None).queues == {}


def test_the_writer_is_handed_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path)
    handed: list[Any] = []

    def write(*arguments: Any, trace: bool) -> dict[str, int]:
        arguments[3].mkdir()
        assert not trace
        handed.append(arguments[5])
        return {}

    monkeypatch.setattr(synthesis_hls, "write_firmware", write)
    monkeypatch.setattr(synthesis_hls, "write_qonnx", lambda *_: None)
    job = job_in(tmp_path)
    queues = {("met", "sum"): 9}
    keys = [
        HlsFlow(job, branched(), "network", OPTIONS, scratch, given).firmware().key
        for given in (queues, {}, queues)
    ]
    assert handed == [queues, {}]  # the third is found
    assert keys[0] == keys[2] != keys[1]


def test_a_self_check_that_fails_names_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(tmp_path)
    traced: list[bool] = []

    def write(*arguments: Any, trace: bool) -> dict[str, int]:
        arguments[3].mkdir()
        traced.append(trace)
        return {}

    def check(compiled: object, model: object) -> None:
        raise UserError(f"hls4ml: {'met' if traced[-1] else 'sum'} is not the reference's")

    monkeypatch.setattr(synthesis_hls, "write_firmware", write)
    monkeypatch.setattr(synthesis_hls, "write_qonnx", lambda *_: None)
    monkeypatch.setattr(synthesis_hls, "compile_firmware", lambda *_: None)
    monkeypatch.setattr(synthesis_hls, "self_check", check)
    flow = HlsFlow(job_in(tmp_path), branched(), "network", OPTIONS, scratch, {})
    with pytest.raises(UserError, match=r"^hls4ml: met is not the reference's$"):
        flow.answers(flow.firmware(), torch.zeros(1, *branched().shape))
    assert traced == [False, False, True]

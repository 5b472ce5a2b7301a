"""What hls4ml is handed of the network's own queues."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from geocore.edge.dataflow import Timing, flow
from geocore.edge.estimate import estimate
from geocore.edge.firmware import FirmwareOptions
from geocore.edge.verilog import Layout
from geocore.pipeline import synthesis_hls
from geocore.pipeline.synthesis_hls import HlsFlow, stream_queues
from tests.edge.networks import branched, tiny
from tests.pipeline.test_synthesize import job_in, write_table

LAYOUT = Layout(lanes={"first": 2})
OPTIONS = FirmwareOptions(
    io_type="io_stream", strategy="Latency", reuse_factor=1, backend="Vitis", clock_period=5.0,
    part="xczu9eg-ffvb1156-2-e",
)  # fmt: skip


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_streams_before_joins_are_as_long_as_they_must_be() -> None:
    model = branched()
    found = stream_queues(model, LAYOUT, "io_stream")
    joined = {node.name for node in model.nodes if len(node.sources) > 1}
    assert found and {reader for _, reader in found} <= joined
    latency = estimate(model, LAYOUT).kernels
    assert not flow(model, Timing(latency, LAYOUT.lanes, found), 4).stopped
    assert stream_queues(model, LAYOUT, "io_parallel") == {}
    assert stream_queues(tiny(), Layout(), "io_stream") == {}


def test_the_writer_is_handed_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path)
    handed: list[Any] = []

    def write(*arguments: Any) -> dict[str, int]:
        arguments[3].mkdir()
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

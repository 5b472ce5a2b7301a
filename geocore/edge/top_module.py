"""The module that joins a network's nodes: streams, forks and queues between AXI stream ports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from geocore.edge.description import QuantisedModel
from geocore.edge.node_module import instance
from geocore.edge.nodes import IMAGES

__all__ = ["top_module"]

_AXIS = ""  # who reads the network's last value
# Names of wires and instances are a node's name and one of a few endings, none of which ends with
# another: whatever nodes are called, no two names are one.


def top_module(
    model: QuantisedModel,
    queues: Mapping[tuple[str, str], int],
    name: str,
    modules: Mapping[str, str],
) -> str:
    """Module ``name``: each node's module of ``modules``, joined.

    ``queues`` has the words that wait between a node and one of its readers. Ports: ``aclk``,
    ``aresetn`` and the streams ``s_axis`` and ``m_axis``, whose words are padded to bytes;
    ``tlast`` marks the last word of a value.
    """
    return "\n".join([*_Top(model, queues, name, modules).lines(), ""])


class _Top:
    def __init__(
        self,
        model: QuantisedModel,
        queues: Mapping[tuple[str, str], int],
        name: str,
        modules: Mapping[str, str],
    ) -> None:
        self.model, self.queues, self.name, self.modules = model, queues, name, modules
        self.last = model.nodes[-1].name
        self.bits = {key: shape[2] * model.grids[key].bits for key, shape in model.shapes.items()}
        self.readers: dict[str, list[tuple[str, int]]] = {key: [] for key in model.shapes}
        for node in model.nodes:
            for place, source in enumerate(node.sources):
                self.readers[source].append((node.name, place))
        self.readers[self.last].append((_AXIS, 0))

    def lines(self) -> Iterator[str]:
        yield from self._ports()
        for key in self.model.shapes:
            yield from _wires(_value(key), self.bits[key])
            for reader in self.readers[key]:
                yield from _wires(_stream(*reader), self.bits[key])
        images = _value(IMAGES)
        yield f"    assign {images}_data = s_axis_tdata[{self.bits[IMAGES] - 1}:0];"
        yield f"    assign {images}_valid = s_axis_tvalid;"
        yield f"    assign s_axis_tready = {images}_ready;"
        for key, reading in self.readers.items():
            yield from _forked(key, [_stream(*reader) for reader in reading])
        for node in self.model.nodes:
            ports = ["    .clk(clk), .rst(rst)"]
            for place, source in enumerate(node.sources):
                stream = _stream(node.name, place)
                depth = self.queues.get((source, node.name), 0)
                if depth:
                    queued = f"{node.name}_queued{place}"
                    yield from self._queue(stream, queued, source, depth)
                    stream = queued
                port = "in" if len(node.sources) == 1 else f"in{place}"
                ports.append(_joined(port, stream))
            ports.append(_joined("out", _value(node.name)))
            body = ",\n    ".join(ports)
            yield f"    {self.modules[node.name]} {node.name}_node (\n    {body}\n    );"
        yield from self._end()

    def _ports(self) -> Iterator[str]:
        model = self.model
        inward, outward = (_bytes(self.bits[key]) for key in (IMAGES, self.last))
        yield f"// Images {' x '.join(map(str, model.shape))} {model.input}, a pixel a word."
        yield f"module {self.name} ("
        yield "    input wire aclk,"
        yield "    input wire aresetn,"
        yield f"    input wire [{inward - 1}:0] s_axis_tdata,"
        yield "    input wire s_axis_tvalid,"
        yield "    output wire s_axis_tready,"
        yield f"    output wire [{outward - 1}:0] m_axis_tdata,"
        yield "    output wire m_axis_tvalid,"
        yield "    output wire m_axis_tlast,"
        yield "    input wire m_axis_tready"
        yield ");"
        yield "    wire clk = aclk;"
        yield "    wire rst = !aresetn;"

    def _queue(self, stream: str, queued: str, source: str, depth: int) -> Iterator[str]:
        bits = self.bits[source]
        yield from _wires(queued, bits)
        made = instance(
            "geocore_fifo", f"{queued}_queue", given=stream, out=queued, BITS=bits, DEPTH=depth
        )
        yield made.rstrip("\n")

    def _end(self) -> Iterator[str]:
        """The last value's words onto the port, counted."""
        stream, bits = _stream(_AXIS, 0), self.bits[self.last]
        padding = _bytes(bits) - bits
        data = f"{{{padding}'b0, {stream}_data}}" if padding else f"{stream}_data"
        yield f"    assign m_axis_tdata = {data};"
        yield f"    assign m_axis_tvalid = {stream}_valid;"
        yield f"    assign {stream}_ready = m_axis_tready;"
        height, width, _ = self.model.shapes[self.last]
        words = height * width
        if words == 1:
            yield "    assign m_axis_tlast = 1'b1;"
        else:
            yield f"    reg [{(words - 1).bit_length() - 1}:0] word;"
            yield f"    assign m_axis_tlast = word == {words - 1};"
            yield "    always @(posedge clk)"
            yield "        if (rst)"
            yield "            word <= 0;"
            yield "        else if (m_axis_tvalid && m_axis_tready)"
            yield "            word <= m_axis_tlast ? 0 : word + 1'b1;"
        yield "endmodule"


def _bytes(bits: int) -> int:
    return -(-bits // 8) * 8


def _value(node: str) -> str:
    """What a node gives."""
    return f"{node}_out"


def _stream(node: str, place: int) -> str:
    """What a node reads at a place of its sources."""
    return f"{node}_in{place}" if node else "axis"


def _wires(stream: str, bits: int) -> Iterator[str]:
    yield f"    wire [{bits - 1}:0] {stream}_data;"
    yield f"    wire {stream}_valid, {stream}_ready;"


def _joined(port: str, stream: str) -> str:
    parts = [f".{port}_{part}({stream}_{part})" for part in ("data", "valid", "ready")]
    return f"    {', '.join(parts)}"


def _forked(key: str, streams: list[str]) -> Iterator[str]:
    given = _value(key)
    for stream in streams:
        yield f"    assign {stream}_data = {given}_data;"
    if len(streams) == 1:
        yield f"    assign {streams[0]}_valid = {given}_valid;"
        yield f"    assign {given}_ready = {streams[0]}_ready;"
        return
    back = list(reversed(streams))  # the first reader is the lowest bit
    yield f"    geocore_fork #(.READERS({len(streams)})) {key}_fork ("
    yield f"        .clk(clk), .rst(rst), .in_valid({given}_valid), .in_ready({given}_ready),"
    yield f"        .out_valid({{{', '.join(f'{stream}_valid' for stream in back)}}}),"
    yield f"        .out_ready({{{', '.join(f'{stream}_ready' for stream in back)}}})"
    yield "    );"

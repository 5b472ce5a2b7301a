"""A network's Verilog with a multiplier a weight, to compare with: ``geocore.edge.product_kernel``.

All else is as in ``geocore.edge.verilog``: windows, pooling, queues, ports, and dense nodes that
share their multipliers, which are plain products then too.
"""

from __future__ import annotations

from importlib import resources

from geocore.edge.description import QuantisedModel
from geocore.edge.kernels import Kernel
from geocore.edge.node_module import NodeModule, Place, _head, _onto, instance, node_module
from geocore.edge.nodes import Convolution, Weighted
from geocore.edge.product_kernel import PLAIN_PRODUCT, product_kernel
from geocore.edge.top_module import top_module
from geocore.edge.verilog import Design, Layout, _check, _Files, _place

__all__ = ["write_product_verilog"]

_SHARED_PRODUCT = "geocore_product.v"


def write_product_verilog(
    model: QuantisedModel, layout: Layout | None = None, name: str = "net"
) -> Design:
    """The network as Verilog with products. Equal arguments give equal files.

    ``layout.levels`` is not read: a register lies behind every adder. ``synthesise(..., dsp=True)``
    counts the chip's multipliers; yosys has no model of them, so that it is this Verilog that is
    simulated, and no netlist. Raises ``ValueError`` as
    ``write_verilog`` does for a layout that is none of the network.
    """
    layout = layout or Layout()
    _check(model, layout)
    files = _Files()
    for file in sorted((resources.files("geocore.edge") / "rtl").iterdir(), key=lambda f: f.name):
        if file.name.startswith("geocore_"):
            text = file.read_text(encoding="utf-8")
            files.add(file.name, PLAIN_PRODUCT if file.name == _SHARED_PRODUCT else text)
    kernels: dict[str, Kernel] = {}
    modules: dict[str, str] = {}
    for node in model.nodes:
        place = _place(model, layout, node, name)
        if isinstance(node, Weighted) and place.lanes is None:
            made = _products(place, node)
        else:
            made = node_module(place)
        files.add(f"{made.name}.v", made.text)
        held = made.tables
        if made.kernel is not None:
            kernels[node.name] = made.kernel
            held = held | made.kernel.files
        for key, text in held.items():
            files.add(key, text)
        modules[node.name] = made.name
    files.add(f"{name}.v", top_module(model, layout.queues, name, modules))
    return Design(name, files.texts, modules, kernels, model)


def _products(place: Place, node: Weighted) -> NodeModule:
    """The module of a convolution, or of a dense node whose value comes in one word."""
    made = NodeModule(place.module)
    weight, text, given = node.weight, "", "in"
    if isinstance(node, Convolution):
        rows, columns = node.weight.shape[2:]
        height, width, channels = place.shapes[0]
        above, below, left, right = node.padding
        bits = channels * node.input.bits
        given = "window"
        text = f"    wire [{rows * columns * bits - 1}:0] window_data;\n"
        text += "    wire window_valid, window_ready;\n"
        text += instance(
            "geocore_window", "window",
            out=given,
            HEIGHT=height, WIDTH=width, BITS=bits, ROWS=rows, COLUMNS=columns, STRIDE=node.stride,
            ABOVE=above, BELOW=below, LEFT=left, RIGHT=right,
        )  # fmt: skip
        weight = node.weight.permute(0, 2, 3, 1).flatten(1)
    kernel = product_kernel(f"{place.part}_products", node, weight)
    made.kernel = kernel
    outputs, sums = place.shape[2], kernel.output
    bits = outputs * place.grid.bits
    text += (
        f"    wire [{outputs * sums.bits - 1}:0] kernel_data;\n"
        f"    wire [{bits - 1}:0] rounded;\n"
        f"    {kernel.name} kernel "
        f"(.clk(clk), .model_inp({given}_data), .model_out(kernel_data));\n"
        f"{_onto('kernel_data', outputs, sums, place.grid, 0, 'rounded')}"
        f"    geocore_credit #(.BITS({bits}), .LATENCY({kernel.latency}), "
        f".DEPTH({kernel.latency + 2})) credit (\n"
        "        .clk(clk), .rst(rst),\n"
        f"        .in_valid({given}_valid), .in_ready({given}_ready),\n"
        "        .kernel_data(rounded),\n"
        "        .out_data(out_data), .out_valid(out_valid), .out_ready(out_ready)\n"
        "    );\n"
    )
    made.text = f"{_head(place)}{text}endmodule\n"
    return made

"""A test bench beside a design, for any simulator: its Verilog without this package."""

from __future__ import annotations

from string import Template

import numpy as np
from torch import Tensor

from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.reference import reference_integers
from geocore.edge.verilog import Design

__all__ = ["write_bench"]

_IMAGES, _EXPECTED = "images.hex", "expected.hex"


def write_bench(design: Design, images: Tensor) -> dict[str, str]:
    """``tb_NAME.v``, ``images.hex`` and ``expected.hex``, to lie beside the files of a design.

    The bench streams images ``(n, height, width, channels)``, numbers, back to back into the
    design, holds every word that comes against ``reference_integers``, and prints how many differ
    and the cycles from the first pixel to the last word, of the first image and of all. It ends
    with ``$fatal``, which is an exit code, where a word or ``tlast`` is wrong, a word changes
    before it is taken, or nothing moves any more. ``+give=N`` and ``+take=N`` offer a pixel and
    take a word in N of 256 cycles at random from ``+seed=N``: the cycles are those of
    ``Simulator.run``. Yosys, and whatever else defines ``SYNTHESIS``, reads past it.

    A line of the tables is a word in hexadecimal, channels from the lowest bits, padded to bytes.
    Raises ``ValueError`` for images of another shape, and for a design that has a file of one of
    these names already.
    """
    model = design.model
    if images.shape[1:] != model.shape or len(images) == 0:
        raise ValueError(f"images are {tuple(images.shape)}; expected (n, {model.shape})")
    shape, grid = design.output
    height, width, _ = model.shape
    given = model.input.quantise(images)
    expected = reference_integers(model, images)[model.nodes[-1].name]
    bench = f"tb_{design.top}"
    text = _BENCH.substitute(
        top=design.top,
        bench=bench,
        images=len(images),
        pixels=height * width,
        words=shape[0] * shape[1],
        inward=_padded(design.input_bits) - 1,
        outward=_padded(shape[2] * grid.bits) - 1,
        given=_IMAGES,
        expected=_EXPECTED,
    )
    files = {
        f"{bench}.v": text,
        _IMAGES: _lines(given, model.input),
        _EXPECTED: _lines(expected, grid),
    }
    taken = {name.lower() for name in design.files}
    for name in files:
        if name.lower() in taken:
            raise ValueError(f"{name} is a file of the design; expected another name of a node")
    return files


def _padded(bits: int) -> int:
    return -(-bits // 8) * 8


def _lines(integers: Tensor, grid: FixedPoint) -> str:
    """Words ``(..., channels)`` for ``$readmemh``."""
    numbers = integers.flatten(0, 2).numpy()
    bits = (numbers[:, :, None] >> np.arange(grid.bits)) & 1
    flat = bits.reshape(len(numbers), -1).astype(np.uint8)
    rows = np.packbits(flat, axis=1, bitorder="little")[:, ::-1]
    return "".join(f"{row.tobytes().hex()}\n" for row in rows)


# What is offered and taken is drawn in the order, and by the numbers, of rtl/harness.cpp.
_BENCH = Template("""\
// Test bench of $top. To run it in this folder (+give, +take, +seed: sides wait at random):
//   $$ verilator --binary -Wno-fatal --top-module $bench *.v && obj_dir/V$bench +give=90 +take=60
//   $$ iverilog -g2012 -s $bench -o $bench.vvp *.v && vvp $bench.vvp +give=90 +take=60 +seed=1
`ifndef SYNTHESIS
module $bench;
    localparam IMAGES = $images, PIXELS = $pixels, WORDS = $words;  // of an image, in and out
    localparam QUIET = 1000000;  // cycles without a word: it will not go on

    reg [$inward:0] pixels [0:IMAGES*PIXELS-1];
    reg [$outward:0] expected [0:IMAGES*WORDS-1];
    reg clk, resetn, s_valid, m_ready;
    reg [$inward:0] s_data;
    wire s_ready, m_valid, m_last;
    wire [$outward:0] m_data;
    reg [$outward:0] held_data;
    reg held_last, held, offered, goes, comes;
    reg [63:0] state;
    integer give, take, seed, resets, sent, received, wrong, cycle, first, latency, quiet;

    $top network (
        .aclk(clk), .aresetn(resetn),
        .s_axis_tdata(s_data), .s_axis_tvalid(s_valid), .s_axis_tready(s_ready),
        .m_axis_tdata(m_data), .m_axis_tvalid(m_valid), .m_axis_tlast(m_last),
        .m_axis_tready(m_ready)
    );

    initial begin
        $$readmemh("$given", pixels);
        $$readmemh("$expected", expected);
        if (!$$value$$plusargs("give=%d", give))
            give = 256;
        if (!$$value$$plusargs("take=%d", take))
            take = 256;
        if (!$$value$$plusargs("seed=%d", seed))
            seed = 0;
        state = seed;
        {clk, resetn, s_valid, m_ready, held, offered} = 0;
        resets = 0;
        sent = 0;
        received = 0;
        wrong = 0;
        cycle = 0;
        first = 0;
        latency = 0;
        quiet = 0;
        forever #5 clk = !clk;
    end

    task draw;
        state = state * 64'd6364136223846793005 + 64'd1442695040888963407;
    endtask

    task drive;  // a word that is offered stays until it is taken
        begin
            if (!offered && sent < IMAGES * PIXELS) begin
                draw;
                offered = state[47:40] < give;
            end
            s_valid <= offered;
            if (offered)
                s_data <= pixels[sent];
            draw;
            m_ready <= state[47:40] < take;
        end
    endtask

    task receive;
        begin
            if (m_data !== expected[received]) begin
                wrong = wrong + 1;
                if (wrong <= 10)
                    $$display("word %0d is %h; expected %h", received, m_data, expected[received]);
            end
            received = received + 1;
            if (m_last !== (received % WORDS == 0))
                $$fatal(1, "$top: m_axis_tlast is wrong, %0d words in, %0d out", sent, received);
            if (received == WORDS)
                latency = cycle - first;
        end
    endtask

    task finish;
        begin
            $$display("$top: %0d of %0d words differ", wrong, received);
            $$display(
                "$top: %0d cycles from the first pixel to its image's last word, %0d to the end",
                latency, cycle - first
            );
            if (wrong != 0)
                $$fatal(1, "$top: differs from $expected");
            $$finish;
        end
    endtask

    always @(posedge clk)
        if (!resetn) begin
            resets = resets + 1;
            if (resets == 4) begin
                if (m_valid !== 0)
                    $$fatal(1, "$top: m_axis_tvalid is not low in reset");
                resetn <= 1;
                drive;
            end
        end else begin
            goes = s_valid && s_ready;
            comes = m_valid && m_ready;
            if (held && !(m_valid && m_data === held_data && m_last === held_last))
                $$fatal(1, "$top: m_axis changes, or is taken back, before it is taken");
            held = m_valid && !comes;
            held_data = m_data;
            held_last = m_last;
            if (comes)
                receive;
            if (goes) begin
                if (sent == 0)
                    first = cycle;
                sent = sent + 1;
                offered = 0;
            end
            quiet = goes || comes ? 0 : quiet + 1;
            if (quiet > QUIET)
                $$fatal(1, "$top: comes to a stop, %0d words in, %0d out", sent, received);
            if (received == IMAGES * WORDS)
                finish;
            cycle = cycle + 1;
            drive;
        end
endmodule
`endif
""")

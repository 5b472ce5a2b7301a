// A kernel of LATENCY cycles that takes a word a cycle and cannot wait, made to wait.
//
// A word enters only while the queue behind the kernel, DEPTH words, has a place that no word on the
// way has taken yet. With DEPTH >= LATENCY + 2 a word passes every cycle.
`default_nettype none
module geocore_credit #(
    parameter BITS = 8,                  // of a word that the kernel gives
    parameter LATENCY = 1,
    parameter DEPTH = 3
) (
    input wire clk,
    input wire rst,
    input wire in_valid,
    output wire in_ready,
    input wire [BITS-1:0] kernel_data,   // LATENCY cycles after the word has entered
    output wire [BITS-1:0] out_data,
    output wire out_valid,
    input wire out_ready
);
    localparam COUNT_BITS = $clog2(DEPTH + 1);

    reg [LATENCY-1:0] way;               // which of the kernel's stages hold a word
    reg [COUNT_BITS-1:0] taken;          // places of the queue: full, or of a word on the way
    assign in_ready = taken != DEPTH;
    wire enter = in_valid && in_ready;
    wire leave = out_valid && out_ready;

    always @(posedge clk) begin
        if (rst) begin
            way <= 0;
            taken <= 0;
        end else begin
            way <= (way << 1) | {{(LATENCY-1){1'b0}}, enter};
            if (enter && !leave)
                taken <= taken + 1'b1;
            else if (leave && !enter)
                taken <= taken - 1'b1;
        end
    end

    wire unused;
    geocore_fifo #(.BITS(BITS), .DEPTH(DEPTH)) queue (
        .clk(clk), .rst(rst),
        .in_data(kernel_data), .in_valid(way[LATENCY-1]), .in_ready(unused),
        .out_data(out_data), .out_valid(out_valid), .out_ready(out_ready)
    );
endmodule
`default_nettype wire

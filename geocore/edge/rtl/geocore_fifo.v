// A queue of DEPTH words of BITS each; what is written is there to be read one cycle later.
`default_nettype none
module geocore_fifo #(
    parameter BITS = 8,
    parameter DEPTH = 2
) (
    input wire clk,
    input wire rst,
    input wire [BITS-1:0] in_data,
    input wire in_valid,
    output wire in_ready,
    output wire [BITS-1:0] out_data,
    output wire out_valid,
    input wire out_ready
);
    localparam PLACE_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;
    localparam COUNT_BITS = $clog2(DEPTH + 1);

    (* ram_style = "distributed" *) reg [BITS-1:0] memory [0:DEPTH-1];
    reg [PLACE_BITS-1:0] first;
    reg [PLACE_BITS-1:0] next;
    reg [COUNT_BITS-1:0] count;

    assign in_ready = count != DEPTH;
    assign out_valid = count != 0;
    assign out_data = memory[first];
    wire write = in_valid && in_ready;
    wire read = out_valid && out_ready;

    always @(posedge clk) begin
        if (rst) begin
            first <= 0;
            next <= 0;
            count <= 0;
        end else begin
            if (write)
                next <= next == DEPTH - 1 ? 0 : next + 1'b1;
            if (read)
                first <= first == DEPTH - 1 ? 0 : first + 1'b1;
            if (write && !read)
                count <= count + 1'b1;
            else if (read && !write)
                count <= count - 1'b1;
        end
        if (write)
            memory[next] <= in_data;
    end
endmodule
`default_nettype wire

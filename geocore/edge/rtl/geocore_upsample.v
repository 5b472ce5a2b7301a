// Each pixel of an image FACTOR x FACTOR times: WIDTH pixels a row of BITS each, in raster order.
//
// A row is written as it passes, and read again for the rows below.
`default_nettype none
module geocore_upsample #(
    parameter WIDTH = 4,
    parameter BITS = 8,
    parameter FACTOR = 2
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
    localparam COLUMN_BITS = $clog2(WIDTH + 1);
    localparam COPY_BITS = $clog2(FACTOR + 1);

    reg [COLUMN_BITS-1:0] column;
    reg [COPY_BITS-1:0] along;           // copies of the pixel that have gone
    reg [COPY_BITS-1:0] down;            // copies of the row that have gone
    (* ram_style = "distributed" *) reg [BITS-1:0] memory [0:WIDTH-1];

    wire fresh = down == 0;
    wire last_copy = along == FACTOR - 1;
    wire last_column = column == WIDTH - 1;
    assign out_data = fresh ? in_data : memory[column];
    assign out_valid = !fresh || in_valid;
    assign in_ready = fresh && last_copy && out_ready;
    wire step = out_valid && out_ready;

    always @(posedge clk) begin
        if (rst) begin
            column <= 0;
            along <= 0;
            down <= 0;
        end else if (step) begin
            along <= last_copy ? 0 : along + 1'b1;
            if (last_copy) begin
                column <= last_column ? 0 : column + 1'b1;
                if (last_column)
                    down <= down == FACTOR - 1 ? 0 : down + 1'b1;
            end
        end
        if (step && fresh)
            memory[column] <= in_data;
    end
endmodule
`default_nettype wire

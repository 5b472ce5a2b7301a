// The largest of each SIZE x SIZE pixels of an image that arrives pixel by pixel, channel by channel.
//
// HEIGHT x WIDTH pixels of CHANNELS numbers, BITS each, SIGNED or not, come in raster order; what the
// squares leave over at the end of rows and columns is read and dropped.
`default_nettype none
module geocore_pool #(
    parameter HEIGHT = 4,
    parameter WIDTH = 4,
    parameter CHANNELS = 1,
    parameter BITS = 8,
    parameter SIGNED = 0,
    parameter SIZE = 2
) (
    input wire clk,
    input wire rst,
    input wire [CHANNELS*BITS-1:0] in_data,
    input wire in_valid,
    output wire in_ready,
    output reg [CHANNELS*BITS-1:0] out_data,
    output reg out_valid,
    input wire out_ready
);
    localparam CELLS = WIDTH / SIZE;
    localparam BANDS = HEIGHT / SIZE;
    localparam ROW_BITS = $clog2(HEIGHT + 1);
    localparam COLUMN_BITS = $clog2(WIDTH + 1);
    localparam PHASE_BITS = $clog2(SIZE + 1);

    reg [ROW_BITS-1:0] row;
    reg [COLUMN_BITS-1:0] column;
    reg [COLUMN_BITS-1:0] cell_;         // the square's number in its row of squares
    reg [ROW_BITS-1:0] band;             // that row's number
    reg [PHASE_BITS-1:0] row_phase;
    reg [PHASE_BITS-1:0] column_phase;

    assign in_ready = !out_valid || out_ready;
    wire step = in_valid && in_ready;
    wire last_column = column == WIDTH - 1;
    wire last_row = row == HEIGHT - 1;
    wire counts = cell_ < CELLS && band < BANDS;

    reg [CHANNELS*BITS-1:0] along;       // of the pixels of this row that lie in the square so far
    (* ram_style = "distributed" *) reg [CHANNELS*BITS-1:0] memory [0:CELLS-1];
    wire [CHANNELS*BITS-1:0] above = memory[cell_ < CELLS ? cell_ : 0];
    wire [CHANNELS*BITS-1:0] here;       // ... with this one
    wire [CHANNELS*BITS-1:0] whole;      // ... and with the rows above
    genvar c;
    generate
        for (c = 0; c < CHANNELS; c = c + 1) begin : channel
            wire [BITS-1:0] x = in_data[c*BITS +: BITS];
            wire [BITS-1:0] a = along[c*BITS +: BITS];
            wire [BITS-1:0] b = above[c*BITS +: BITS];
            wire left_wins = SIGNED ? $signed(a) > $signed(x) : a > x;
            wire [BITS-1:0] h = column_phase != 0 && left_wins ? a : x;
            wire above_wins = SIGNED ? $signed(b) > $signed(h) : b > h;
            assign here[c*BITS +: BITS] = h;
            assign whole[c*BITS +: BITS] = row_phase != 0 && above_wins ? b : h;
        end
    endgenerate

    always @(posedge clk) begin
        if (rst) begin
            row <= 0;
            column <= 0;
            cell_ <= 0;
            band <= 0;
            row_phase <= 0;
            column_phase <= 0;
            out_valid <= 1'b0;
        end else begin
            if (step) begin
                column <= last_column ? 0 : column + 1'b1;
                column_phase <= last_column || column_phase == SIZE - 1 ? 0 : column_phase + 1'b1;
                if (last_column)
                    cell_ <= 0;
                else if (column_phase == SIZE - 1)
                    cell_ <= cell_ + 1'b1;
                if (last_column) begin
                    row <= last_row ? 0 : row + 1'b1;
                    row_phase <= last_row || row_phase == SIZE - 1 ? 0 : row_phase + 1'b1;
                    if (last_row)
                        band <= 0;
                    else if (row_phase == SIZE - 1)
                        band <= band + 1'b1;
                end
            end
            if (step && counts && row_phase == SIZE - 1 && column_phase == SIZE - 1)
                out_valid <= 1'b1;
            else if (out_ready)
                out_valid <= 1'b0;
        end
    end

    always @(posedge clk)
        if (step) begin
            along <= here;
            if (counts && column_phase == SIZE - 1) begin
                memory[cell_] <= whole;
                out_data <= whole;
            end
        end
endmodule
`default_nettype wire

// Windows of an image that arrives pixel by pixel.
//
// A value of HEIGHT x WIDTH pixels of BITS each comes in raster order; out goes, in raster order, each
// ROWS x COLUMNS window of it padded with zeros: ABOVE, BELOW, LEFT, RIGHT. STRIDE pixels lie between
// neighbours. One position of the padded image is taken a cycle, those of the padding without a pixel.
// A window's bits: pixel (i, j) of it at BITS * (i * COLUMNS + j).
`default_nettype none
module geocore_window #(
    parameter HEIGHT = 4,
    parameter WIDTH = 4,
    parameter BITS = 8,
    parameter ROWS = 3,
    parameter COLUMNS = 3,
    parameter STRIDE = 1,
    parameter ABOVE = 0,
    parameter BELOW = 0,
    parameter LEFT = 0,
    parameter RIGHT = 0
) (
    input wire clk,
    input wire rst,
    input wire [BITS-1:0] in_data,
    input wire in_valid,
    output wire in_ready,
    output wire [ROWS*COLUMNS*BITS-1:0] out_data,
    output wire out_valid,
    input wire out_ready
);
    localparam TALL = HEIGHT + ABOVE + BELOW;
    localparam WIDE = WIDTH + LEFT + RIGHT;
    localparam ROW_BITS = $clog2(TALL + 1);
    localparam COLUMN_BITS = $clog2(WIDE + 1);

    // The position that is taken next, and whether a window ends there.
    reg [ROW_BITS-1:0] row;
    reg [COLUMN_BITS-1:0] column;
    reg [ROW_BITS-1:0] row_phase;        // rows since the last one in which windows end
    reg [COLUMN_BITS-1:0] column_phase;
    reg full;                            // a window waits to be read

    // Said where it is so for all positions: the counters themselves do not show it.
    wire on_image = ABOVE + BELOW + LEFT + RIGHT == 0 ||
        row >= ABOVE && row < ABOVE + HEIGHT && column >= LEFT && column < LEFT + WIDTH;
    wire room = !full || out_ready;
    wire step = room && (!on_image || in_valid);
    wire last_column = column == WIDE - 1;
    wire last_row = row == TALL - 1;
    wire row_ends = row >= ROWS - 1 && (STRIDE == 1 || row_phase == 0);
    wire column_ends = column >= COLUMNS - 1 && (STRIDE == 1 || column_phase == 0);
    wire [BITS-1:0] pixel = on_image ? in_data : {BITS{1'b0}};

    assign in_ready = on_image && room;
    assign out_valid = full;

    always @(posedge clk) begin
        if (rst) begin
            row <= 0;
            column <= 0;
            row_phase <= 0;
            column_phase <= 0;
            full <= 1'b0;
        end else begin
            if (step) begin
                column <= last_column ? 0 : column + 1'b1;
                if (last_column || column < COLUMNS - 1 || column_phase == STRIDE - 1)
                    column_phase <= 0;
                else
                    column_phase <= column_phase + 1'b1;
                if (last_column) begin
                    row <= last_row ? 0 : row + 1'b1;
                    if (last_row || row < ROWS - 1 || row_phase == STRIDE - 1)
                        row_phase <= 0;
                    else
                        row_phase <= row_phase + 1'b1;
                end
            end
            full <= step ? row_ends && column_ends : full && !out_ready;
        end
    end

    // The rows above the pixel's own, column by column, and the columns left of it.
    wire [ROWS*BITS-1:0] rising;         // the pixel's column: the oldest row first
    reg [ROWS*COLUMNS*BITS-1:0] seen;
    genvar i;
    generate
        for (i = 0; i < ROWS; i = i + 1) begin : line
            if (i == ROWS - 1) begin : newest
                assign rising[i*BITS +: BITS] = pixel;
            end else begin : older
                (* ram_style = "distributed" *) reg [BITS-1:0] memory [0:WIDE-1];
                assign rising[i*BITS +: BITS] = memory[column];
                always @(posedge clk)
                    if (step)
                        memory[column] <= rising[(i+1)*BITS +: BITS];
            end
            always @(posedge clk)
                if (step) begin
                    if (COLUMNS > 1)
                        seen[i*COLUMNS*BITS +: COLUMNS*BITS] <= {
                            rising[i*BITS +: BITS],
                            seen[i*COLUMNS*BITS + (COLUMNS > 1 ? BITS : 0) +: (COLUMNS > 1 ? COLUMNS-1 : 1)*BITS]
                        };
                    else
                        seen[i*BITS +: BITS] <= rising[i*BITS +: BITS];
                end
        end
    endgenerate
    assign out_data = seen;
endmodule
`default_nettype wire

// Sums of products over a value that arrives in BEATS words, with multipliers that are shared in time.
//
// Of a word's INPUTS numbers LANES are taken a cycle, each times OUTPUTS weights: STEPS = INPUTS / LANES
// cycles a word (the numbers are filled up with zeros to whole lanes by who connects this). Sums start
// at the biases. ACCUMULATOR bits hold any sum. Weights and biases lie in two files of hexadecimal words:
// of a step, weight (output n, lane k) at WEIGHT_BITS * (n * LANES + k); the biases in one word.
`default_nettype none
module geocore_dense #(
    parameter BEATS = 1,
    parameter INPUTS = 4,
    parameter OUTPUTS = 2,
    parameter LANES = 1,
    parameter INPUT_BITS = 8,
    parameter INPUT_SIGNED = 0,
    parameter WEIGHT_BITS = 8,
    parameter ACCUMULATOR = 24,
    parameter WEIGHTS = "weights.hex",
    parameter BIASES = "biases.hex"
) (
    input wire clk,
    input wire rst,
    input wire [INPUTS*INPUT_BITS-1:0] in_data,
    input wire in_valid,
    output wire in_ready,
    output reg [OUTPUTS*ACCUMULATOR-1:0] out_data,
    output reg out_valid,
    input wire out_ready
);
    localparam STEPS = INPUTS / LANES;
    localparam ROWS = BEATS * STEPS;
    localparam ROW_BITS = $clog2(ROWS + 1);
    localparam STEP_BITS = $clog2(STEPS + 1);
    localparam PRODUCT = INPUT_BITS + WEIGHT_BITS;

    reg [OUTPUTS*LANES*WEIGHT_BITS-1:0] weights [0:ROWS-1];
    reg [OUTPUTS*ACCUMULATOR-1:0] biases [0:0];
    initial begin
        $readmemh(WEIGHTS, weights);
        $readmemh(BIASES, biases);
    end

    // Words wait in a register whose lowest lanes are the next to be taken.
    reg [INPUTS*INPUT_BITS-1:0] word;
    reg [STEP_BITS-1:0] left;            // steps that the word has left
    reg [ROW_BITS-1:0] row;              // of the weights, that the next step takes
    // What has been taken, on its way: numbers and weights, products, sums.
    reg [2:0] way;
    reg [2:0] ends;                      // ... the last step of a value
    reg [2:0] begins;                    // ... its first
    wire held = ends[2] && out_valid && !out_ready;  // the sums have nowhere to go
    wire take = left != 0 && !held;

    assign in_ready = !held && left <= 1;
    wire enter = in_valid && in_ready;

    always @(posedge clk) begin
        if (rst) begin
            left <= 0;
            row <= 0;
            way <= 0;
            ends <= 0;
            begins <= 0;
            out_valid <= 1'b0;
        end else begin
            if (enter)
                left <= STEPS;
            else if (take)
                left <= left - 1'b1;
            if (take)
                row <= row == ROWS - 1 ? 0 : row + 1'b1;
            if (!held) begin
                way <= {way[1:0], take};
                ends <= {ends[1:0], take && row == ROWS - 1};
                begins <= {begins[1:0], take && row == 0};
            end
            if (ends[2] && !held)
                out_valid <= 1'b1;
            else if (out_ready)
                out_valid <= 1'b0;
        end
        if (enter)
            word <= in_data;
        else if (take)
            word <= word >> (LANES * INPUT_BITS);
    end

    reg [LANES*INPUT_BITS-1:0] numbers;
    reg [OUTPUTS*LANES*WEIGHT_BITS-1:0] taken;
    always @(posedge clk)
        if (!held) begin
            numbers <= word[LANES*INPUT_BITS-1:0];
            taken <= weights[row < ROWS ? row : 0];
        end

    genvar n, k;
    generate
        for (n = 0; n < OUTPUTS; n = n + 1) begin : output_
            reg [LANES*PRODUCT-1:0] products;
            for (k = 0; k < LANES; k = k + 1) begin : lane
                wire signed [PRODUCT-1:0] product;
                geocore_product #(
                    .X_BITS(INPUT_BITS), .X_SIGNED(INPUT_SIGNED), .W_BITS(WEIGHT_BITS)
                ) times (
                    .x(numbers[k*INPUT_BITS +: INPUT_BITS]),
                    .w(taken[(n*LANES+k)*WEIGHT_BITS +: WEIGHT_BITS]), .product(product)
                );
                always @(posedge clk)
                    if (!held)
                        products[k*PRODUCT +: PRODUCT] <= product;
            end
            reg signed [ACCUMULATOR-1:0] sum;
            reg signed [ACCUMULATOR-1:0] next;
            integer j;
            always @* begin
                next = begins[1] ? $signed(biases[0][n*ACCUMULATOR +: ACCUMULATOR]) : sum;
                for (j = 0; j < LANES; j = j + 1)
                    next = next + $signed(products[j*PRODUCT +: PRODUCT]);
            end
            always @(posedge clk)
                if (!held && way[1])
                    sum <= next;
            always @(posedge clk)
                if (ends[2] && !held)
                    out_data[n*ACCUMULATOR +: ACCUMULATOR] <= sum;
        end
    endgenerate
endmodule
`default_nettype wire

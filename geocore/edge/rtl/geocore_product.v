// x times w, of X_BITS (X_SIGNED or not) and of W_BITS, signed, by Booth's digits. No clock.
//
// Two bits of x and the one below them are a digit from -2 to 2; it adds 0, w or 2 w, or takes them off,
// in one row of W_BITS + 2 adders, a LUT of six inputs each. The two lowest bits of a row are the
// product's own, the rest goes into the next.
`default_nettype none
module geocore_product #(
    parameter X_BITS = 8,
    parameter X_SIGNED = 0,
    parameter W_BITS = 8
) (
    input wire [X_BITS-1:0] x,
    input wire signed [W_BITS-1:0] w,
    output wire signed [X_BITS+W_BITS-1:0] product
);
    localparam ROWS = X_SIGNED ? (X_BITS + 1) / 2 : X_BITS / 2 + 1;

    wire sign = X_SIGNED ? x[X_BITS-1] : 1'b0;
    wire [2*ROWS:0] digits = {{(2*ROWS-X_BITS){sign}}, x, 1'b0};
    wire signed [2*ROWS+W_BITS-1:0] whole;
    assign product = whole;

    genvar n;
    generate
        for (n = 0; n < ROWS; n = n + 1) begin : row
            wire [2:0] digit = digits[2*n +: 3];
            wire once = digit[1] ^ digit[0];
            wire twice = digit == 3'b100 || digit == 3'b011;
            wire signed [W_BITS+1:0] one = w;
            wire [W_BITS+1:0] term = (once ? one : twice ? one <<< 1 : 0) ^ {(W_BITS+2){digit[2]}};
            wire signed [W_BITS+1:0] above;
            wire signed [W_BITS+1:0] sum;
            wire unused;
            // What is taken off is inverted, and 1 added: by a carry from a bit below.
            assign {sum, unused} = {above, 1'b1} + {term, digit[2]};
            if (n == 0)
                assign above = 0;
            else
                assign above = row[n-1].sum >>> 2;
            if (n < ROWS - 1)
                assign whole[2*n +: 2] = sum[1:0];
            else
                assign whole[2*ROWS+W_BITS-1:2*n] = sum;
        end
    endgenerate
endmodule
`default_nettype wire

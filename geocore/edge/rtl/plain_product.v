// x times w, of X_BITS (X_SIGNED or not) and of W_BITS, signed. No clock.
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
    wire sign = X_SIGNED ? x[X_BITS-1] : 1'b0;
    wire signed [X_BITS:0] number = {sign, x};
    assign product = number * w;
endmodule
`default_nettype wire

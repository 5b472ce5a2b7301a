// A number onto another grid: rounded to the nearest, ties to even, and saturated. No clock.
//
// The integer of IN_BITS, IN_SIGNED or not, counts steps of 2^-IN_FRACTION; what goes out counts steps
// of 2^-OUT_FRACTION in OUT_BITS, OUT_SIGNED or not. Onto an unsigned grid negative numbers become 0.
`default_nettype none
module geocore_requantise #(
    parameter IN_BITS = 16,
    parameter IN_SIGNED = 1,
    parameter IN_FRACTION = 8,
    parameter OUT_BITS = 8,
    parameter OUT_SIGNED = 0,
    parameter OUT_FRACTION = 4
) (
    input wire [IN_BITS-1:0] in_data,
    output wire [OUT_BITS-1:0] out_data
);
    localparam DROP = IN_FRACTION > OUT_FRACTION ? IN_FRACTION - OUT_FRACTION : 0;
    localparam RISE = OUT_FRACTION > IN_FRACTION ? OUT_FRACTION - IN_FRACTION : 0;
    // Wide enough for the number as it is, for all that is dropped, and for what goes out.
    localparam WIDE = IN_BITS + RISE + DROP + OUT_BITS + 2;

    wire signed [WIDE-1:0] number = IN_SIGNED
        ? $signed({{(WIDE-IN_BITS){in_data[IN_BITS-1]}}, in_data})
        : $signed({{(WIDE-IN_BITS){1'b0}}, in_data});
    wire signed [WIDE-1:0] risen = number <<< RISE;
    wire signed [WIDE-1:0] floor = risen >>> DROP;
    wire signed [WIDE-1:0] rounded;
    generate
        if (DROP == 0) begin : exact
            assign rounded = floor;
        end else begin : nearest
            wire half = risen[DROP > 0 ? DROP - 1 : 0];
            wire more = |(risen & (({{(WIDE-1){1'b0}}, 1'b1} << (DROP > 0 ? DROP - 1 : 0)) - 1'b1));
            assign rounded = floor + $signed({{(WIDE-1){1'b0}}, half && (more || floor[0])});
        end
    endgenerate
    localparam signed [WIDE-1:0] HIGHEST =
        ({{(WIDE-1){1'b0}}, 1'b1} << (OUT_SIGNED ? OUT_BITS - 1 : OUT_BITS)) - 1'b1;
    localparam signed [WIDE-1:0] LOWEST =
        OUT_SIGNED ? -({{(WIDE-1){1'b0}}, 1'b1} << (OUT_BITS - 1)) : {WIDE{1'b0}};
    assign out_data = rounded > HIGHEST ? HIGHEST[OUT_BITS-1:0]
                    : rounded < LOWEST ? LOWEST[OUT_BITS-1:0]
                    : rounded[OUT_BITS-1:0];
endmodule
`default_nettype wire

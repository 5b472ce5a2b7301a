// Three numbers added in one row of UltraScale+ LUTs: what `ternary_adder` says, in that chip's primitives.
//
// For each bit a LUT with two outputs gives the carry save, maj(x, y, z), and x ^ y ^ z ^ m with m the
// carry save of the bit below; the carry chain adds the two. A negated number is inverted in the LUT's
// table, and 1 added: into the chain for the first, below the lowest carry save for the second. Bits that
// only the lowest number has are copied. Synthesis puts this module in the place of the one that is
// written for any chip and for simulation; its parameters are that one's. The cells have names of their
// own, which `geocore.edge.ultrascale` gives back after mapping: yosys' mapper takes none with two outputs.
module ternary_adder #(
    parameter BW_INPUT0 = 32, parameter SIGNED0 = 0, parameter NEGATE0 = 0, parameter PAD0 = 0,
    parameter BW_INPUT1 = 32, parameter SIGNED1 = 0, parameter NEGATE1 = 0, parameter PAD1 = 0,
    parameter BW_INPUT2 = 32, parameter SIGNED2 = 0, parameter NEGATE2 = 0, parameter PAD2 = 0,
    parameter BW_OUT = 32, parameter DROP_LSBS = 0
) (
    input [BW_INPUT0-1:0] in0,
    input [BW_INPUT1-1:0] in1,
    input [BW_INPUT2-1:0] in2,
    output [BW_OUT-1:0] out
);
    function integer least(input integer a, input integer b);
        least = a < b ? a : b;
    endfunction

    localparam TOP = DROP_LSBS + BW_OUT;
    localparam LOW = least(least(PAD0, PAD1), PAD2);
    localparam AT_LOW = (PAD0 == LOW ? 1 : 0) + (PAD1 == LOW ? 1 : 0) + (PAD2 == LOW ? 1 : 0);
    localparam LOW_NEGATED = PAD0 == LOW && NEGATE0 || PAD1 == LOW && NEGATE1 || PAD2 == LOW && NEGATE2;
    localparam NEXT = least(least(PAD0 > LOW ? PAD0 : TOP, PAD1 > LOW ? PAD1 : TOP), least(PAD2 > LOW ? PAD2 : TOP, TOP));
    localparam START = AT_LOW == 1 && !LOW_NEGATED ? NEXT : least(LOW, TOP);
    localparam BITS = TOP - START;
    localparam CHAINS = (BITS + 7) / 8;
    localparam NEGATED = NEGATE0 + NEGATE1 + NEGATE2;
    // The one that is negated where others are not, or is not where others are.
    localparam ODD = NEGATED == 1 ? (NEGATE0 ? 0 : NEGATE1 ? 1 : 2) : (!NEGATE0 ? 0 : !NEGATE1 ? 1 : 2);

    // Signs reach as far as the result does.
    wire signed [TOP-1:0] a = $signed({SIGNED0 && in0[BW_INPUT0-1], in0}) <<< PAD0;
    wire signed [TOP-1:0] b = $signed({SIGNED1 && in1[BW_INPUT1-1], in1}) <<< PAD1;
    wire signed [TOP-1:0] c = $signed({SIGNED2 && in2[BW_INPUT2-1], in2}) <<< PAD2;
    wire [TOP-1:0] x = ODD == 0 ? a : ODD == 1 ? b : c;
    wire [TOP-1:0] y = ODD == 0 ? b : a;
    wire [TOP-1:0] z = ODD == 2 ? b : c;
    wire [TOP-1:0] sum;
    assign out = sum[TOP-1:DROP_LSBS];

    genvar n;
    generate
        if (START > 0) begin : copied
            assign sum[START-1:0] = a[START-1:0] | b[START-1:0] | c[START-1:0];
        end
        if (NEGATED == 3) begin : all_negated
            wire [TOP-1:0] whole = -a - b - c;
            assign sum[TOP-1:START] = whole[TOP-1:START];
        end else if (BITS > 0) begin : row
            wire [8*CHAINS:0] save;
            wire [8*CHAINS-1:0] propagate;
            wire [8*CHAINS-1:0] total;
            wire [8*CHAINS:0] carry;
            assign save[0] = NEGATED > 1;
            assign carry[0] = NEGATED > 0;
            for (n = 0; n < 8 * CHAINS; n = n + 1) begin : bit_
                if (n >= BITS) begin : unused
                    assign save[n+1] = 1'b0;
                    assign propagate[n] = 1'b0;
                end else if (NEGATED == 0)
                    geocore_bit_none lut (
                        .I0(x[START+n]), .I1(y[START+n]), .I2(z[START+n]), .I3(save[n]),
                        .I4(1'b0), .I5(1'b1), .O5(save[n+1]), .O6(propagate[n])
                    );
                else if (NEGATED == 1)
                    geocore_bit_one lut (
                        .I0(x[START+n]), .I1(y[START+n]), .I2(z[START+n]), .I3(save[n]),
                        .I4(1'b0), .I5(1'b1), .O5(save[n+1]), .O6(propagate[n])
                    );
                else
                    geocore_bit_two lut (
                        .I0(x[START+n]), .I1(y[START+n]), .I2(z[START+n]), .I3(save[n]),
                        .I4(1'b0), .I5(1'b1), .O5(save[n+1]), .O6(propagate[n])
                    );
            end
            for (n = 0; n < CHAINS; n = n + 1) begin : chain
                wire [7:0] out_;
                geocore_carry carry8 (
                    .CI(carry[8*n]), .CI_TOP(1'b0), .DI(save[8*n +: 8]), .S(propagate[8*n +: 8]),
                    .O(total[8*n +: 8]), .CO(out_)
                );
                assign carry[8*n+8] = out_[7];
            end
            assign sum[TOP-1:START] = total[BITS-1:0];
        end
    endgenerate
endmodule

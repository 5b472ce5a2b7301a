// One stream to READERS, each of which takes a word when it can: a word goes when all have it.
`default_nettype none
module geocore_fork #(
    parameter READERS = 2
) (
    input wire clk,
    input wire rst,
    input wire in_valid,
    output wire in_ready,
    output wire [READERS-1:0] out_valid,
    input wire [READERS-1:0] out_ready
);
    reg [READERS-1:0] have;              // those that have this word already
    assign out_valid = {READERS{in_valid}} & ~have;
    assign in_ready = &(have | out_ready);

    always @(posedge clk)
        if (rst)
            have <= 0;
        else if (in_valid)
            have <= in_ready ? 0 : have | out_ready;
endmodule
`default_nettype wire

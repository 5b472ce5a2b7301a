// A module and its netlist beside each other, given the same inputs, their outputs held together.
//
// compare INPUT VECTORS FROM: of a file a word for `given` each cycle; from the cycle FROM on `left` and
// `right` must be equal. Two cycles of reset come first. Prints the number of output bits that were both
// 0 and 1; or ends with 3 and prints the first cycle and bit that differ.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "Vdesign.h"
#include "ports.h"
#include "verilated.h"

int main(int count, char **arguments) {
    if (count != 4)
        return 2;
    const uint64_t vectors = std::strtoull(arguments[2], nullptr, 10);
    const uint64_t from = std::strtoull(arguments[3], nullptr, 10);
    VerilatedContext context;
    Vdesign design{&context};
    const std::size_t size = (sizeof(design.given) + 3) / 4;
    std::vector<uint32_t> in(vectors * size);
    FILE *file = std::fopen(arguments[1], "rb");
    if (!file || std::fread(in.data(), 4, in.size(), file) != in.size())
        return 2;
    std::fclose(file);

    std::vector<uint32_t> left, right, ones, zeros;
    for (uint64_t n = 0; n < vectors; n++) {
        design.rst = n < 2;
        put(design.given, &in[n * size]);
        design.clk = 0;
        design.eval();
        left.clear();
        right.clear();
        get(design.left, left);
        get(design.right, right);
        ones.resize(left.size());
        zeros.resize(left.size());
        for (std::size_t word = 0; n >= from && word < left.size(); word++) {
            if (const uint32_t differ = left[word] ^ right[word]) {
                std::printf("%llu %llu\n", (unsigned long long)n,
                            (unsigned long long)(32 * word + __builtin_ctz(differ)));
                return 3;
            }
            ones[word] |= left[word];
            zeros[word] |= ~left[word];
        }
        design.clk = 1;
        design.eval();
    }
    unsigned moved = 0;
    for (std::size_t word = 0; word < ones.size(); word++)
        moved += __builtin_popcount(ones[word] & zeros[word]);
    std::printf("%u\n", moved);
    return 0;
}

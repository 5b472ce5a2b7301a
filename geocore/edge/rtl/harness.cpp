// Words of a file into a design's AXI stream, what comes out into another, and the cycle of each.
//
// harness INPUT OUTPUT IMAGES WORDS_IN WORDS_OUT GIVE TAKE SEED LIMIT RESET: of 256 cycles a word is
// offered in about GIVE and taken in about TAKE. Registers and memories begin at random. After RESET
// cycles, unless 0, everything begins again with a reset, and what came before is forgotten. Output: for
// each word its cycle (two 32-bit words, the lower first) and its bits in 32-bit words. The first line of
// stdout is the cycle in which the first word went in. Ends with 3 if LIMIT cycles pass without a word in
// or out, 4 for a wrong tlast, 5 for a word that changes before it is taken, 6 for one in reset.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "Vdesign.h"
#include "ports.h"
#include "verilated.h"

static uint32_t drawn(uint64_t &state) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<uint32_t>(state >> 40) & 255;
}

static int stopped(int code, uint64_t sent, uint64_t received) {
    std::fprintf(stderr, "%llu words in, %llu out\n", (unsigned long long)sent,
                 (unsigned long long)received);
    return code;
}

static void tick(Vdesign &design) {
    design.aclk = 0;
    design.eval();
    design.aclk = 1;
    design.eval();
}

int main(int count, char **arguments) {
    if (count != 11)
        return 2;
    const uint64_t images = std::strtoull(arguments[3], nullptr, 10);
    const uint64_t words_in = images * std::strtoull(arguments[4], nullptr, 10);
    const uint64_t words_out = images * std::strtoull(arguments[5], nullptr, 10);
    const uint32_t give = std::strtoul(arguments[6], nullptr, 10);
    const uint32_t take = std::strtoul(arguments[7], nullptr, 10);
    uint64_t state = std::strtoull(arguments[8], nullptr, 10);
    const uint64_t limit = std::strtoull(arguments[9], nullptr, 10);
    uint64_t reset = std::strtoull(arguments[10], nullptr, 10);

    VerilatedContext context;
    context.randReset(2);
    context.randSeed(static_cast<int>(state) + 1);
    Vdesign design{&context};
    const std::size_t size = (sizeof(design.s_axis_tdata) + 3) / 4;  // 32-bit words of one word in
    std::vector<uint32_t> in(words_in * size);
    FILE *file = std::fopen(arguments[1], "rb");
    if (!file || std::fread(in.data(), 4, in.size(), file) != in.size())
        return 2;
    std::fclose(file);

    std::vector<uint32_t> out, waits, here;  // waits: what was offered and not taken
    uint64_t sent, received, cycle, quiet, first;
    bool offered, waiting;
    for (;;) {
        out.clear();
        sent = received = cycle = quiet = first = 0;
        offered = waiting = false;
        design.aresetn = 0;
        design.s_axis_tvalid = 0;
        design.m_axis_tready = 0;
        for (int n = 0; n < 4; n++)
            tick(design);
        if (design.m_axis_tvalid)
            return stopped(6, sent, received);
        design.aresetn = 1;
        while (received < words_out && (reset == 0 || cycle < reset)) {
            // A word that was offered stays until it is taken.
            if (!offered && sent < words_in && drawn(state) < give)
                offered = true;
            design.s_axis_tvalid = offered;
            if (offered)
                put(design.s_axis_tdata, &in[sent * size]);
            design.m_axis_tready = drawn(state) < take;
            design.aclk = 0;
            design.eval();
            const bool goes = offered && design.s_axis_tready;
            const bool comes = design.m_axis_tvalid && design.m_axis_tready;
            here.clear();
            if (design.m_axis_tvalid) {
                get(design.m_axis_tdata, here);
                here.push_back(design.m_axis_tlast);
            }
            if (waiting && here != waits)
                return stopped(5, sent, received);
            waiting = design.m_axis_tvalid && !comes;
            waits = here;
            if (comes) {
                out.push_back(static_cast<uint32_t>(cycle));
                out.push_back(static_cast<uint32_t>(cycle >> 32));
                out.insert(out.end(), here.begin(), here.end() - 1);
                received++;
                if (design.m_axis_tlast != (received % (words_out / images) == 0))
                    return stopped(4, sent, received);
            }
            if (goes) {
                if (sent == 0)
                    first = cycle;
                sent++;
                offered = false;
            }
            quiet = goes || comes ? 0 : quiet + 1;
            if (quiet > limit)
                return stopped(3, sent, received);
            design.aclk = 1;
            design.eval();
            cycle++;
        }
        if (reset == 0)
            break;
        reset = 0;
    }
    std::printf("%llu\n", (unsigned long long)first);
    file = std::fopen(arguments[2], "wb");
    if (!file || std::fwrite(out.data(), 4, out.size(), file) != out.size())
        return 2;
    std::fclose(file);
    return 0;
}

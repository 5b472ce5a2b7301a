// Words of a file into a design's AXI stream, what comes out into another, and the cycle of each.
//
// harness INPUT OUTPUT IMAGES WORDS_IN WORDS_OUT GIVE TAKE SEED LIMIT: of 256 cycles a word is offered
// in about GIVE and taken in about TAKE. Output: for each word its cycle (two 32-bit words, the lower
// first) and its bits in 32-bit words. The first line of stdout is the cycle in which the first word
// went in. Ends with 3 if LIMIT cycles pass without a word in or out.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "Vdesign.h"
#include "verilated.h"

template <class T> static void put(T &port, const uint32_t *words) {
    uint64_t value = words[0];
    if (sizeof(T) > 4)
        value |= static_cast<uint64_t>(words[1]) << 32;
    port = static_cast<T>(value);
}

template <std::size_t N> static void put(VlWide<N> &port, const uint32_t *words) {
    for (std::size_t n = 0; n < N; n++)
        port[n] = words[n];
}

template <class T> static void get(const T &port, std::vector<uint32_t> &out) {
    const uint64_t value = port;
    out.push_back(static_cast<uint32_t>(value));
    if (sizeof(T) > 4)
        out.push_back(static_cast<uint32_t>(value >> 32));
}

template <std::size_t N> static void get(const VlWide<N> &port, std::vector<uint32_t> &out) {
    for (std::size_t n = 0; n < N; n++)
        out.push_back(port[n]);
}

static uint32_t drawn(uint64_t &state) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<uint32_t>(state >> 40) & 255;
}

int main(int count, char **arguments) {
    if (count != 10)
        return 2;
    const uint64_t images = std::strtoull(arguments[3], nullptr, 10);
    const uint64_t words_in = images * std::strtoull(arguments[4], nullptr, 10);
    const uint64_t words_out = images * std::strtoull(arguments[5], nullptr, 10);
    const uint32_t give = std::strtoul(arguments[6], nullptr, 10);
    const uint32_t take = std::strtoul(arguments[7], nullptr, 10);
    uint64_t state = std::strtoull(arguments[8], nullptr, 10);
    const uint64_t limit = std::strtoull(arguments[9], nullptr, 10);

    VerilatedContext context;
    Vdesign design{&context};
    const std::size_t size = (sizeof(design.s_axis_tdata) + 3) / 4;  // 32-bit words of one word in
    std::vector<uint32_t> in(words_in * size);
    FILE *file = std::fopen(arguments[1], "rb");
    if (!file || std::fread(in.data(), 4, in.size(), file) != in.size())
        return 2;
    std::fclose(file);

    std::vector<uint32_t> out;
    uint64_t sent = 0, received = 0, cycle = 0, quiet = 0, first = 0;
    bool offered = false;
    design.aresetn = 0;
    design.s_axis_tvalid = 0;
    design.m_axis_tready = 0;
    for (int n = 0; n < 4; n++) {
        design.aclk = 0;
        design.eval();
        design.aclk = 1;
        design.eval();
    }
    design.aresetn = 1;
    while (received < words_out) {
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
        if (comes) {
            out.push_back(static_cast<uint32_t>(cycle));
            out.push_back(static_cast<uint32_t>(cycle >> 32));
            get(design.m_axis_tdata, out);
            received++;
            if (design.m_axis_tlast != (received % (words_out / images) == 0))
                return 4;
        }
        if (goes) {
            if (sent == 0)
                first = cycle;
            sent++;
            offered = false;
        }
        quiet = goes || comes ? 0 : quiet + 1;
        if (quiet > limit) {
            std::fprintf(stderr, "%llu words in, %llu out\n", (unsigned long long)sent,
                         (unsigned long long)received);
            return 3;
        }
        design.aclk = 1;
        design.eval();
        cycle++;
    }
    std::printf("%llu\n", (unsigned long long)first);
    file = std::fopen(arguments[2], "wb");
    if (!file || std::fwrite(out.data(), 4, out.size(), file) != out.size())
        return 2;
    std::fclose(file);
    return 0;
}

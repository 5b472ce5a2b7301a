// Words of 32 bits into a port of a simulated design, and out of one, whatever its type.

#include <cstddef>
#include <cstdint>
#include <vector>

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

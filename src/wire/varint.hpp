// Protobuf's variable-length integers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cdc::wire {

constexpr size_t kMaxVarint = 10;  // bytes of the longest varint

constexpr uint64_t zigzag(int64_t value) {
    return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}

constexpr int64_t unzigzag(uint64_t value) {
    return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

// Bytes that `value` takes: one for each 7 bits begun.
constexpr size_t varint_size(uint64_t value) {
    const int bits = 64 - __builtin_clzll(value | 1);
    return static_cast<size_t>((bits + 6) / 7);
}

// Needs kMaxVarint bytes at `out`; returns the byte after the last one written.
inline uint8_t *put_varint(uint8_t *out, uint64_t value) {
    while (value >= 0x80) {
        *out++ = static_cast<uint8_t>(value | 0x80);
        value >>= 7;
    }
    *out++ = static_cast<uint8_t>(value);
    return out;
}

}  // namespace cdc::wire

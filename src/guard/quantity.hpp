// Sizes and durations as people write and read them. Pure.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cdc::guard {

constexpr int64_t kMicros = 1000000;  // in a second

// Room for any formatted quantity.
constexpr size_t kQuantityRoom = 32;

// "512 bytes", "5.2 MB": rounded to one digit below 100. Units as PostgreSQL has them, a kB is 1024 bytes.
const char *format_bytes(char (&out)[kQuantityRoom], int64_t bytes);

// "45 s", "12 min", "3 h 20 min", "5 d".
const char *format_duration(char (&out)[kQuantityRoom], int64_t micros);

// Read a number with a unit (B, kB, MB, GB, TB; ms, s, min, h, d) at `text`, white space between them allowed, and move
// `text` behind it. False, with `text` anywhere, if there is none, it has no unit or is out of range (above 0 and up to
// 2^60 bytes or 100 years).
bool read_bytes(const char *&text, int64_t &bytes);
bool read_duration(const char *&text, int64_t &micros);

}  // namespace cdc::guard

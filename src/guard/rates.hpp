// How fast WAL comes, from the samples of a bounded window. Pure.
#pragma once

#include <cstdint>

namespace cdc::guard {

struct Tick {
    int64_t at;       // clock that never jumps, microseconds
    int64_t wall_at;  // TimestampTz
    uint64_t wal_lsn;
    int64_t step;       // WAL since the tick before; 0 if the guard was off in between
    uint32_t next_xid;  // the transaction id that is given next; 0 unknown
};

// Samples that a rate is taken over.
constexpr uint64_t kRateTicks = 16;

struct WalRate {
    double bytes_per_s;  // -1 unknown: fewer than two samples
    bool steady;         // whether it says anything about what comes next
};

// The rate over the ticks first..last of a ring of `size`, numbered from 0 for ever; the caller keeps last - first
// below `size`. A rate is steady if it comes from at least three intervals, and no two in a row have more than 70 % of
// the WAL: one burst, which a sample may have fallen into, says nothing about when a cap is reached, nor does silence.
WalRate wal_rate(const Tick *ring, uint64_t size, uint64_t first, uint64_t last);

}  // namespace cdc::guard

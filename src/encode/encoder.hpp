// What encoding values needs beside the values: where to write, where to work, and the limits.
#pragma once

#include "../pg/memory.hpp"
#include "../pg/postgres.hpp"
#include "enum_labels.hpp"

namespace cdc::encode {

// The largest batch size that may be asked for.
constexpr Size kLargestBatch = static_cast<Size>(64) << 20;
// The most bytes that one record's values may take: a message, which is one palloc'd buffer, also holds a batch that is
// almost full, records of the same WAL record, values of fixed size, and the replication protocol's own header.
constexpr Size kMaxRecordBytes = pg::kMaxBuffer - kLargestBatch - (static_cast<Size>(4) << 20);

struct Encoder {
    wire::Buffer *out;
    MemoryContext scratch;  // for what one change needs: reset by the caller behind each
    EnumLabels *labels;
    Size max_value_bytes;  // larger values are sent as too large
    Size record_bytes;     // most bytes that one record's values may take
    Size limit;            // out->used may not pass this: set by begin_change()
    uint64 change;         // number of the change at hand: set by begin_change()
    // Where the transaction is the user's and goes on, who owns what output functions hold, so that it can be released
    // when one fails; nullptr where the transaction is aborted in any case, as decoding does.
    ResourceOwner owner;
    bool utf8;          // the server's encoding needs no conversion
    bool fetch;         // values out of line are fetched; else they are unchanged TOAST
    bool pinned;        // settings are pinned in this transaction: cleared by the caller at its start
    bool scratch_used;  // so that an untouched scratch needs no reset
};

// To be called where the values of a change start.
inline void begin_change(Encoder &encoder) {
    ++encoder.change;
    encoder.limit = encoder.out->used + encoder.record_bytes;
}

}  // namespace cdc::encode

// What encoding values needs beside the values: where to write, where to work, and the limits.
#pragma once

#include "../pg/memory.hpp"
#include "../pg/postgres.hpp"
#include "enum_labels.hpp"

namespace cdc::encode {

struct Encoder {
    wire::Buffer *out;
    MemoryContext scratch;  // for what one change needs: reset by the caller behind each
    EnumLabels *labels;
    Size max_value_bytes;  // larger values are sent as too large
    Size record_bytes;     // most bytes that one record's values may take
    Size limit;            // out->used may not pass this: set by begin_change()
    uint64 change;         // number of the change at hand: set by begin_change()
    bool utf8;             // the server's encoding needs no conversion
    bool pinned;           // settings are pinned in this transaction: cleared by the caller at its start
    bool scratch_used;     // so that an untouched scratch needs no reset
};

// To be called where the values of a change start.
inline void begin_change(Encoder &encoder) {
    ++encoder.change;
    encoder.limit = encoder.out->used + encoder.record_bytes;
}

}  // namespace cdc::encode

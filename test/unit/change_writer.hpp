// A Change record, put together as the output plugin does it.
#pragma once

#include "value_list.hpp"

#include "wire/writer.hpp"

namespace cdc::test {

struct ChangeHead {
    wire::Op op;
    uint64_t ordinal;
    uint32_t relation_id;
    wire::Before before_kind = wire::Before::kNone;
};

// `rows` writes the values; `expected_size` is the guess at the record's size, for which lengths get their bytes.
template <typename Rows>
void write_change(wire::Buffer &out, const ChangeHead &head, Rows rows, size_t expected_size = 60) {
    const wire::Nested record = wire::begin_nested(out, wire::batch::records, expected_size + 3);
    const wire::Nested body = wire::begin_nested(out, wire::record::change, expected_size);
    wire::put_uint(out, wire::change::op, static_cast<uint64_t>(head.op));
    wire::put_uint(out, wire::change::ordinal, head.ordinal);
    wire::put_uint(out, wire::change::relation_id, head.relation_id);
    wire::put_uint(out, wire::change::before_kind, static_cast<uint64_t>(head.before_kind));
    rows();
    wire::end_nested(out, body);
    wire::end_nested(out, record);
}

}  // namespace cdc::test

// Rewrites one number of a record, and the lengths around it.
#include "renumber.hpp"

#include "writer.hpp"

namespace cdc::wire {

namespace {

// Number of the field `ordinal` in the message that a field of Record holds; 0 if that has none.
uint32_t ordinal_field(uint32_t kind) {
    switch (kind) {
        case record::change:
            return change::ordinal;
        case record::truncate:
            return truncate::ordinal;
        case record::message:
            return message::ordinal;
        default:
            return 0;
    }
}

// What was read between `at` and where the reader is now.
std::string_view bytes_between(const char *at, const Reader &behind) {
    return std::string_view(at, static_cast<size_t>(behind.position() - at));
}

}  // namespace

bool append_renumbered(Buffer &out, std::string_view batch, int64_t by, Error &error) {
    Reader records(batch, batch.data(), error);
    Field record_field;
    for (const char *record_at = records.position(); records.next(record_field); record_at = records.position()) {
        Reader kinds = records.enter(expect_bytes(records, record_field));
        Field kind;
        const uint32_t number = kinds.next(kind) ? ordinal_field(kind.number) : 0;
        if (number == 0) {
            const std::string_view whole = bytes_between(record_at, records);
            out.append(whole.data(), whole.size());
            continue;
        }
        const Nested record = begin_nested(out, record_field.number, record_field.bytes.size());
        const Nested body = begin_nested(out, kind.number, kind.bytes.size());
        Reader fields = kinds.enter(expect_bytes(kinds, kind));
        Field field;
        for (const char *at = fields.position(); fields.next(field); at = fields.position()) {
            if (field.number == number && field.type == kVarint) {
                put_uint(out, number, field.number_value + static_cast<uint64_t>(by));
                // Behind it come the rows, which need no look.
                const std::string_view rest(
                    fields.position(), static_cast<size_t>(kind.bytes.data() + kind.bytes.size() - fields.position()));
                out.append(rest.data(), rest.size());
                break;
            }
            const std::string_view other = bytes_between(at, fields);
            out.append(other.data(), other.size());
        }
        end_nested(out, body);
        end_nested(out, record);
    }
    return !error;
}

}  // namespace cdc::wire

// Rows and changes as they stand in a batch: views into its bytes, valid as long as those.
#pragma once

#include "lsn.hpp"
#include "relation.hpp"

#include "../../wire/reader.hpp"
#include "../../wire/render.hpp"
#include "../../wire/render_value.hpp"

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace cdc::consumer {

// Bytes that are not what change.proto says: a damaged file, or a server of a later version.
class CorruptStream : public std::runtime_error {
 public:
    using std::runtime_error::runtime_error;
};

// A value for each column of a relation.
using Row = std::vector<wire::ValueView>;

inline bool is_null(const wire::ValueView &value) {
    return value.kind == wire::value::absent && value.absent == wire::Absent::kNull;
}
inline bool is_unchanged_toast(const wire::ValueView &value) {
    return value.kind == wire::value::absent && value.absent == wire::Absent::kUnchangedToast;
}
// Whether there is a value, or a NULL.
inline bool is_known(const wire::ValueView &value) {
    return (value.kind != wire::value::absent || value.absent == wire::Absent::kNull) &&
           value.kind != wire::value::too_large_bytes;
}
// Whether two values have the same bytes on the wire. (Equal values of one type nearly always have; numeric 1.0 and
// 1.00 have not.)
bool same_value(const wire::ValueView &left, const wire::ValueView &right);

struct Change {
    wire::Op op = wire::Op::kUnspecified;
    uint64_t ordinal = 0;
    const Relation *relation = nullptr;
    wire::Before before_kind = wire::Before::kNone;
    Row before;  // empty if before_kind is kNone
    Row after;   // empty for kDelete

    // The columns by which the row is found in a copy: the old row where it has them, else the new one. nullptr if the
    // change does not say which row it is about.
    const Row *key_row() const;
    // Whether an update changes a key column.
    bool changes_key() const;
};

struct Transaction {
    uint64_t xid = 0;
    Lsn commit_lsn = 0;
    Lsn end_lsn = 0;                 // known at its end
    int64_t commit_time_micros = 0;  // since 2000-01-01 UTC
};

// A Truncate record.
struct Truncation {
    uint64_t ordinal = 0;
    std::vector<const Relation *> relations;
};

}  // namespace cdc::consumer

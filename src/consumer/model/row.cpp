#include "row.hpp"

namespace cdc::consumer {

bool same_value(const wire::ValueView &left, const wire::ValueView &right) {
    return left.kind == right.kind && left.absent == right.absent &&
           left.payload.number_value == right.payload.number_value && left.payload.bytes == right.payload.bytes;
}

const Row *Change::key_row() const {
    if (before_kind != wire::Before::kNone) {
        return &before;
    }
    // An update without an old row left its key as it was.
    return op == wire::Op::kDelete || relation->key.empty() ? nullptr : &after;
}

bool Change::changes_key() const {
    if (op != wire::Op::kUpdate || before_kind == wire::Before::kNone) {
        return false;
    }
    for (const size_t column : relation->key) {
        if (!same_value(before[column], after[column]) && !is_unchanged_toast(after[column])) {
            return true;
        }
    }
    return false;
}

}  // namespace cdc::consumer

// The two lists of values in a Change that has just been encoded, compared and patched where they lie.
#pragma once

#include "../wire/buffer.hpp"
#include "../wire/schema.hpp"

namespace cdc::plugin {

// Where the lists are in the buffer; before ends where after starts, after at the end of the buffer.
struct RowLists {
    size_t before;
    size_t after;
};

// Puts the value from `before`, which must be a full row, in place of each unchanged TOAST value in `after`.
void fill_unchanged_toast(wire::Buffer &out, RowLists lists);

// Appends Change.changed: the positions whose values differ, `before` being a full row.
void write_changed_columns(wire::Buffer &out, RowLists lists);

}  // namespace cdc::plugin

// The two lists of values in a Change that has just been encoded, compared and patched where they lie.
#pragma once

#include "../wire/buffer.hpp"
#include "../wire/schema.hpp"

namespace cdc::plugin {

// Where the lists are in the buffer: `before` ends where `after` starts.
struct RowLists {
    size_t before;
    size_t after;
    size_t end;  // of after
};

// Appends Change.changed: the positions whose values differ, `before` being a full row. Unchanged TOAST does not
// differ; a value that was too large to send does, because nothing but its size is known. To be called before the next
// one.
void write_changed_columns(wire::Buffer &out, RowLists lists);

// Puts the value from `before`, which must be a full row, in place of each unchanged TOAST value in `after`. What
// follows the lists in the buffer moves along. Where the buffer would become longer than `limit`, the marker stays.
void fill_unchanged_toast(wire::Buffer &out, RowLists lists, size_t limit);

}  // namespace cdc::plugin

// The levels of all slots in a small file of the data directory, so that a restart of the server raises no alert again.
#pragma once

#include "shared.hpp"

namespace cdc::guard {

// Writes the levels that hold now. That it cannot (the disk is full, say) is logged at DEBUG1 and otherwise ignored.
void save_levels();

// Reads the file, once per server start. A file that is not there or makes no sense holds nothing.
void load_levels();

// The level that a slot had before the restart; kOk if it had none.
Level loaded_level(const char *slot);

// After the first sample.
void forget_loaded_levels();

}  // namespace cdc::guard

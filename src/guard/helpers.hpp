// Short-lived workers for what the main worker must not do itself: be connected to a database, or wait for a slot.
#pragma once

#include "shared.hpp"

namespace cdc::guard {

// Starts what is due and looks after what runs: notifications and heartbeats. At most one helper of a kind at a time.
void run_helpers();

// After a reload: what failed may be mended, so do not wait any longer to try again.
void retry_helpers();

// Wants a slot dropped; its helper checks again that it may be. False if it has no time for it now.
bool order_drop(const NameData &slot);

// Emits a heartbeat in the current database, which needs no snapshot and no transaction id; the LSN behind it.
XLogRecPtr emit_heartbeat();

}  // namespace cdc::guard

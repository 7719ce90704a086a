// One sample of all slots: into the rings, against the limits, and out as alerts and actions.
#pragma once

namespace cdc::guard {

// In the guard's main worker only. Allocates in CurrentMemoryContext.
void take_sample();

}  // namespace cdc::guard

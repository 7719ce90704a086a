// The guard's main worker.
#pragma once

namespace cdc::guard {

// To be called while the library is preloaded.
void register_worker();

}  // namespace cdc::guard

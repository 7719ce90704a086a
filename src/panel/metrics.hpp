// What was seen, for Prometheus.
#pragma once

#include "watcher.hpp"

#include <string>

namespace cdc::panel {

// The text of /metrics. While the server is away it has what was seen last, with cdc_panel_up 0.
std::string metrics_text(const Condition &condition, const View *view);

}  // namespace cdc::panel

// The page, with everything that it needs.
#pragma once

#include <string_view>

namespace cdc::panel {

// page.html; {{nonce}} stands where the response's own nonce goes.
std::string_view page();

}  // namespace cdc::panel

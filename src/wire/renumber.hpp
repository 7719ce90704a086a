// Records whose ordinals were given before it was known which changes count.
#pragma once

#include "buffer.hpp"
#include "reader.hpp"

namespace cdc::wire {

// Appends records, as the plugin wrote them, to `out`, with `by` added to the ordinals of changes, truncates and
// messages. False, with `error` set, if they are damaged.
bool append_renumbered(Buffer &out, std::string_view records, int64_t by, Error &error);

}  // namespace cdc::wire

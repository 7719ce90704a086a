// jsonb as text: the bytes that jsonb_out() prints, written straight into a buffer.
#pragma once

#include "../pg/postgres.hpp"
#include "../wire/buffer.hpp"

namespace cdc::encode {

// Writes the text of the jsonb whose root container is at `root`, aligned to 4 bytes. False, with a part written, if
// the text would make the buffer longer than `limit`.
bool put_jsonb_text(wire::Buffer &out, const char *root, Size limit);

}  // namespace cdc::encode

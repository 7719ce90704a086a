// jsonb as text: the bytes that jsonb_out() prints, written straight into a buffer.
#pragma once

#include "../pg/postgres.hpp"
#include "../wire/buffer.hpp"

namespace cdc::encode {

enum class JsonbText { kDone, kTooLarge, kTooDeep };

// Writes the text of the jsonb whose root container is at `root`, aligned to 4 bytes. Not done, with a part written, if
// the text would make the buffer longer than `limit`, or if it nests too deeply for a function that calls itself.
JsonbText put_jsonb_text(wire::Buffer &out, const char *root, Size limit);

}  // namespace cdc::encode

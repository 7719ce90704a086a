// One stored value as a Value on the wire.
#pragma once

#include "codec.hpp"
#include "encoder.hpp"

namespace cdc::encode {

// Writes the value that is stored at `stored` (as in a tuple or an array: unaligned where it is short, perhaps
// compressed or out of line) as an element with the one-byte tag `element`. A value that may not or cannot be sent
// becomes "too large", and one out of line that is not to be fetched unchanged TOAST; only damaged data is an ERROR.
void encode_value(Encoder &encoder, uint8_t element, const Codec &codec, const char *stored);

// The forms of fixed size, which the tuple walk inlines: needs kFixedValueRoom at `at`.
template <typename T>
inline T load(const char *stored) {
    T value;
    memcpy(&value, stored, sizeof value);
    return value;
}

}  // namespace cdc::encode

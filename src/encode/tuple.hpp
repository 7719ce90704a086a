// Rows as lists of values.
#pragma once

#include "encoder.hpp"
#include "relation.hpp"

namespace cdc::encode {

// Writes a value for each sent column of `tuple` as elements with the one-byte tag `element`. With key_only, columns
// outside of the replica identity are marked as such, whatever the tuple has there.
void encode_tuple(Encoder &encoder, uint8_t element, const RelationLayout &layout, TupleDesc descriptor,
                  HeapTuple tuple, bool key_only);

// Whether the tuple has a value out of line that the WAL does not repeat.
bool has_unchanged_toast(HeapTuple tuple);

}  // namespace cdc::encode

// Labels of enum values by OID, so that an enum column costs one catalog look-up for each label and not for each value.
#pragma once

#include "../pg/postgres.hpp"

namespace cdc::encode {

struct EnumLabels;

EnumLabels *make_enum_labels(MemoryContext context);

// The label as UTF-8, or in the server's encoding with *utf8 false if it has no such form. Valid until labels change.
std::string_view enum_label(EnumLabels *labels, Oid value, bool *utf8);

// To be called when pg_enum changed: ALTER TYPE ... RENAME VALUE keeps the OID. Safe in an invalidation callback.
void forget_enum_labels(EnumLabels *labels);

}  // namespace cdc::encode

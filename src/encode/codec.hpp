// Which form of Value the values of a type take, and what it takes to read them out of a tuple.
#pragma once

#include "../pg/postgres.hpp"

namespace cdc::encode {

// What a stored value is read as. One for each way of reading; several may share a form on the wire.
enum class Form : uint8_t {
    kBool,
    kInt2,
    kInt4,
    kInt8,
    kOid,
    kFloat4,
    kFloat8,
    kDate,
    kTime,
    kTimestamp,
    kTimestamptz,
    kTimeTz,
    kInterval,
    kUuid,
    kName,
    kEnum,
    // From here on, values of variable length.
    kText,
    kNumeric,
    kBytea,
    kJson,
    kJsonb,
    kArray,
    kOther,  // of any length: through the type's output function
};

struct Codec {
    Form form;
    bool by_value;
    uint8_t align;         // bytes
    int16 length;          // typlen: -1 for varlena, -2 for C strings
    Oid type;              // the type itself; for a domain, its base type
    FmgrInfo *output;      // for kOther
    const Codec *element;  // for kArray
};

// Looks a type up in the catalogs; what the codec points to is allocated in `context`.
Codec make_codec(Oid type, MemoryContext context);

}  // namespace cdc::encode

// A relation as the stream describes it, and what walking its tuples needs.
#pragma once

#include "codec.hpp"

#include "../pg/postgres.hpp"
#include "../wire/schema.hpp"

namespace cdc::encode {

// One attribute of the tuple descriptor, dropped ones included, because tuples still have a place for them.
struct Attribute {
    Codec codec;
    bool sent;         // rows have a value for it
    bool in_identity;  // part of the replica identity
};

struct RelationLayout {
    wire::ReplicaIdentity identity;
    int attribute_count;
    Attribute *attributes;
    Size fixed_room;           // bytes that a row of values of fixed size takes at most
    uint64 fingerprint;        // of message
    std::string_view message;  // the Relation message
};

// Looks everything up in the catalogs, under the current snapshot. All of it is allocated in `context`. Identity
// columns are copied here and now, because the relation cache may rebuild its own lists in the middle of a callback.
RelationLayout *describe_relation(Relation relation, MemoryContext context);

}  // namespace cdc::encode

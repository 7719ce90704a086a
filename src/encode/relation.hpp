// A relation as the stream describes it, and what walking its tuples needs.
#pragma once

#include "codec.hpp"

#include "../pg/postgres.hpp"
#include "../wire/schema.hpp"

namespace cdc::encode {

// A costly value that was encoded for the change at hand. An update mostly leaves it as it was, and then the new row's
// is a copy of the old row's.
struct Memo {
    uint64 change;  // number of the change
    const char *stored;
    Size stored_size;
    Size element_at;  // offset in the buffer
    Size element_size;
};

// One attribute of the tuple descriptor, dropped ones included, because tuples still have a place for them.
struct Attribute {
    Codec codec;
    bool sent;         // rows have a value for it
    bool in_identity;  // part of the replica identity
    Memo *memo;        // if values are costly to encode, else nullptr
};

// A catalog row that a definition has a name from, as invalidation messages tell of it.
struct NameSource {
    int cache_id;  // TYPEOID or NAMESPACEOID
    uint32 hash;   // of its key in that system cache
};

struct RelationLayout {
    wire::ReplicaIdentity identity;
    int attribute_count;
    Attribute *attributes;
    Size fixed_room;           // bytes that a row of values of fixed size takes at most
    uint64 fingerprint;        // of message
    std::string_view message;  // the Relation message
    int name_source_count;
    NameSource *name_sources;
};

// Looks everything up in the catalogs, under the current snapshot. All of it is allocated in `context`. Identity
// columns are copied here and now, because the relation cache may rebuild its own lists in the middle of a callback.
RelationLayout *describe_relation(Relation relation, MemoryContext context);

}  // namespace cdc::encode

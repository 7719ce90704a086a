// The relations that a stream has met, by OID: their layout, whether the stream selects them, and whether it has sent
// their definition.
//
// Invalidations may arrive in the middle of a callback that holds an entry, so they only mark it; it is rebuilt when it
// is next looked up. Relations that are never looked up again (dropped ones) are forgotten in two steps between
// transactions: their layouts when many entries are marked, and what was sent of them when there are very many.
#pragma once

#include "options.hpp"

#include "../encode/enum_labels.hpp"
#include "../encode/relation.hpp"

namespace cdc::plugin {

// A partitioned table above a partition: its name decides, too, whether the partition is selected.
struct Ancestor {
    Oid relation_id;
    uint32 schema_hash;  // of its schema's key in the system cache
};

struct CachedRelation {
    Oid relation_id;  // hash key
    bool valid;
    bool selected;            // by the options; if not, there is no layout
    uint64 sent_fingerprint;  // of the definition that was sent last; 0: none was
    uint64 spool_turn;        // of the stream, when its present definition was spooled
    Size change_bytes;        // size of its last change, as a guess for the next
    uint32 schema_hash;       // of its schema's key in the system cache
    int ancestor_count;
    MemoryContext context;  // holds what the next two point to
    Ancestor *ancestors;    // from its parent upwards
    encode::RelationLayout *layout;
};

struct RelationCache;

// Lives in `context`, and stops listening to invalidations when that goes. `labels` are forgotten when pg_enum changes.
RelationCache *make_relation_cache(MemoryContext context, const Options *options, encode::EnumLabels *labels);

CachedRelation *find_relation(RelationCache *cache, Relation relation);

// Notes that a definition with this fingerprint is sent; false if it is the one that was sent last.
bool mark_sent(RelationCache *cache, Oid relation_id, uint64 fingerprint);

// The Relation message of a relation that find_relation() returned in this transaction; empty if there is none.
std::string_view cached_definition(RelationCache *cache, Oid relation_id);

// To be called where no entry is held: between transactions.
void sweep_relations(RelationCache *cache);

}  // namespace cdc::plugin

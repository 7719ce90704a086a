// The relation cache and its invalidation.
#include "relation_cache.hpp"

#include "../pg/boundary.hpp"

namespace cdc::plugin {

struct RelationCache {
    HTAB *by_id;
    HTAB *ancestors;  // OIDs of the tables above the valid entries, so that few invalidations need a search
    MemoryContext context;
    const Options *options;
    encode::EnumLabels *labels;
    CachedRelation *last;  // the one found last, which is mostly the next one too
    long marked;           // entries marked since the last sweep
};

namespace {

constexpr long kSweepAt = 256;       // marked entries that are worth a sweep
constexpr long kMaxEntries = 10000;  // entries, of which a sweep leaves no marked ones

// The cache of the stream that this process decodes, for the callbacks, which cannot be unregistered.
RelationCache *active = nullptr;

void mark(RelationCache *cache, CachedRelation *entry) {
    if (entry->valid) {
        entry->valid = false;
        ++cache->marked;
    }
}

void mark_all(RelationCache *cache) {
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, cache->by_id);
    while (auto *const entry = static_cast<CachedRelation *>(hash_seq_search(&scan))) {
        mark(cache, entry);
    }
}

// The partitions below a table: it may have another name now, or another table above it.
void mark_below(RelationCache *cache, Oid ancestor) {
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, cache->by_id);
    while (auto *const entry = static_cast<CachedRelation *>(hash_seq_search(&scan))) {
        for (int i = 0; entry->valid && i < entry->ancestor_count; ++i) {
            if (entry->ancestors[i].relation_id == ancestor) {
                mark(cache, entry);
            }
        }
    }
}

extern "C" void relation_changed(Datum, Oid relation_id) {
    if (active == nullptr) {
        return;
    }
    if (!OidIsValid(relation_id)) {
        mark_all(active);
        return;
    }
    auto *const entry = static_cast<CachedRelation *>(hash_search(active->by_id, &relation_id, HASH_FIND, nullptr));
    if (entry != nullptr) {
        mark(active, entry);
    }
    bool is_ancestor;
    hash_search(active->ancestors, &relation_id, HASH_REMOVE, &is_ancestor);  // none is left when all are marked
    if (is_ancestor) {
        mark_below(active, relation_id);
    }
}

bool has_name_from(const CachedRelation *entry, int cache_id, uint32 hash) {
    if (cache_id == NAMESPACEOID && entry->schema_hash == hash) {
        return true;
    }
    for (int i = 0; cache_id == NAMESPACEOID && i < entry->ancestor_count; ++i) {
        if (entry->ancestors[i].schema_hash == hash) {
            return true;
        }
    }
    const encode::RelationLayout *const layout = entry->layout;
    for (int i = 0; layout != nullptr && i < layout->name_source_count; ++i) {
        if (layout->name_sources[i].cache_id == cache_id && layout->name_sources[i].hash == hash) {
            return true;
        }
    }
    return false;
}

// A schema or a type may have another name. (New ones come with every new table; they concern nobody.)
extern "C" void name_changed(Datum, int cache_id, uint32 hash) {
    if (active == nullptr) {
        return;
    }
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, active->by_id);
    while (auto *const entry = static_cast<CachedRelation *>(hash_seq_search(&scan))) {
        if (entry->valid && (hash == 0 || has_name_from(entry, cache_id, hash))) {
            mark(active, entry);
        }
    }
}

extern "C" void enum_changed(Datum, int, uint32) {
    if (active != nullptr) {
        encode::forget_enum_labels(active->labels);
    }
}

extern "C" void cache_gone(void *cache) {
    if (active == cache) {
        active = nullptr;
    }
}

// Once in a process: the lists of callbacks are short and never shrink.
void register_callbacks() {
    static bool registered = false;
    if (!registered) {
        CacheRegisterRelcacheCallback(relation_changed, 0);
        CacheRegisterSyscacheCallback(NAMESPACEOID, name_changed, 0);
        CacheRegisterSyscacheCallback(TYPEOID, name_changed, 0);
        CacheRegisterSyscacheCallback(ENUMOID, enum_changed, 0);
        registered = true;
    }
}

// Tables only: what a materialized view holds follows from them.
bool is_table(Relation relation) {
    const char kind = relation->rd_rel->relkind;
    return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE;
}

// Made when it is needed: most tables that are not selected need none.
MemoryContext context_of(RelationCache *cache, CachedRelation *entry) {
    if (entry->context == nullptr) {
        entry->context = AllocSetContextCreate(cache->context, "cdc_plugin relation", ALLOCSET_SMALL_SIZES);
    }
    return entry->context;
}

TableName name_of(Oid schema, const char *table) {
    const char *const name = get_namespace_name(schema);
    return TableName{name == nullptr ? "" : name, table};
}

// Whether the options select a table, by its own name or by one above it; remembers what that depends on.
bool is_selected(RelationCache *cache, CachedRelation *entry, Relation relation) {
    const Oid schema = RelationGetNamespace(relation);
    entry->schema_hash = GetSysCacheHashValue1(NAMESPACEOID, ObjectIdGetDatum(schema));
    List *const above = relation->rd_rel->relispartition ? get_partition_ancestors(RelationGetRelid(relation)) : NIL;
    const auto count = static_cast<Size>(list_length(above));
    auto *const names = static_cast<TableName *>(palloc((count + 1) * sizeof(TableName)));
    names[0] = name_of(schema, RelationGetRelationName(relation));
    Size known = 1;
    if (count > 0) {
        entry->ancestors =
            static_cast<Ancestor *>(MemoryContextAlloc(context_of(cache, entry), count * sizeof(Ancestor)));
    }
    ListCell *cell;
    foreach (cell, above) {
        const Oid id = lfirst_oid(cell);
        const Oid above_schema = get_rel_namespace(id);
        const char *const name = get_rel_name(id);
        entry->ancestors[entry->ancestor_count++] =
            Ancestor{id, GetSysCacheHashValue1(NAMESPACEOID, ObjectIdGetDatum(above_schema))};
        hash_search(cache->ancestors, &id, HASH_ENTER, nullptr);
        if (name != nullptr) {
            names[known++] = name_of(above_schema, name);
        }
    }
    const bool selected = is_table(relation) && selects_table(*cache->options, names, known);
    list_free(above);
    pfree(names);
    return selected;
}

void rebuild(RelationCache *cache, CachedRelation *entry, Relation relation) {
    entry->layout = nullptr;
    entry->ancestors = nullptr;
    entry->ancestor_count = 0;
    if (entry->context != nullptr) {
        MemoryContextReset(entry->context);
    }
    entry->selected = is_selected(cache, entry, relation);
    if (entry->selected) {
        entry->layout = encode::describe_relation(relation, context_of(cache, entry));
    }
    entry->spool_turn = 0;
    // Invalidations that came in while this was built are about catalogs of another time than the decoded one; when
    // decoding gets there, they come again.
    entry->valid = true;
}

}  // namespace

RelationCache *make_relation_cache(MemoryContext context, const Options *options, encode::EnumLabels *labels) {
    auto *const cache = static_cast<RelationCache *>(MemoryContextAllocZero(context, sizeof(RelationCache)));
    cache->context = context;
    cache->options = options;
    cache->labels = labels;
    HASHCTL control{};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(CachedRelation);
    control.hcxt = context;
    cache->by_id = hash_create("cdc_plugin relations", 128, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    control.entrysize = sizeof(Oid);
    cache->ancestors = hash_create("cdc_plugin ancestors", 32, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

    auto *const callback =
        static_cast<MemoryContextCallback *>(MemoryContextAllocZero(context, sizeof(MemoryContextCallback)));
    callback->func = cache_gone;
    callback->arg = cache;
    MemoryContextRegisterResetCallback(context, callback);
    register_callbacks();
    active = cache;
    return cache;
}

CachedRelation *find_relation(RelationCache *cache, Relation relation) {
    const Oid relation_id = RelationGetRelid(relation);
    if (cache->last != nullptr && cache->last->relation_id == relation_id && cache->last->valid) {
        return cache->last;
    }
    bool found;
    auto *const entry = static_cast<CachedRelation *>(hash_search(cache->by_id, &relation_id, HASH_ENTER, &found));
    if (!found) {
        const Oid key = entry->relation_id;
        *entry = CachedRelation{};
        entry->relation_id = key;
    }
    if (!entry->valid) {
        rebuild(cache, entry, relation);
    }
    cache->last = entry;
    return entry;
}

bool mark_sent(RelationCache *cache, Oid relation_id, uint64 fingerprint) {
    auto *const entry = static_cast<CachedRelation *>(hash_search(cache->by_id, &relation_id, HASH_FIND, nullptr));
    if (entry == nullptr) {
        return true;
    }
    const bool is_new = entry->sent_fingerprint != fingerprint;
    entry->sent_fingerprint = fingerprint;
    return is_new;
}

std::string_view cached_definition(RelationCache *cache, Oid relation_id) {
    const auto *const entry =
        static_cast<CachedRelation *>(hash_search(cache->by_id, &relation_id, HASH_FIND, nullptr));
    return entry == nullptr || entry->layout == nullptr ? std::string_view() : entry->layout->message;
}

void sweep_relations(RelationCache *cache) {
    if (cache->marked < kSweepAt) {
        return;
    }
    const bool too_many = hash_get_num_entries(cache->by_id) > kMaxEntries;
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, cache->by_id);
    while (auto *const entry = static_cast<CachedRelation *>(hash_seq_search(&scan))) {
        if (entry->valid) {
            continue;
        }
        if (entry->context != nullptr) {
            MemoryContextDelete(entry->context);
            entry->context = nullptr;
            entry->ancestors = nullptr;
            entry->ancestor_count = 0;
            entry->layout = nullptr;
        }
        if (too_many) {
            hash_search(cache->by_id, &entry->relation_id, HASH_REMOVE, nullptr);
        }
    }
    cache->last = nullptr;
    cache->marked = 0;
}

}  // namespace cdc::plugin

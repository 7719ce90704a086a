// The relation cache and its invalidation.
#include "relation_cache.hpp"

#include "../pg/boundary.hpp"

namespace cdc::plugin {

struct RelationCache {
    HTAB *by_id;
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
}

bool has_name_from(const CachedRelation *entry, int cache_id, uint32 hash) {
    if (cache_id == NAMESPACEOID && entry->schema_hash == hash) {
        return true;
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

void rebuild(RelationCache *cache, CachedRelation *entry, Relation relation) {
    entry->layout = nullptr;
    if (entry->context != nullptr) {
        MemoryContextReset(entry->context);
    }
    const Oid schema_id = RelationGetNamespace(relation);
    const char *const schema = get_namespace_name(schema_id);
    entry->schema_hash = GetSysCacheHashValue1(NAMESPACEOID, ObjectIdGetDatum(schema_id));
    entry->selected = is_table(relation) && selects_table(*cache->options, schema == nullptr ? "" : schema,
                                                          RelationGetRelationName(relation));
    if (entry->selected) {
        if (entry->context == nullptr) {
            entry->context = AllocSetContextCreate(cache->context, "cdc_plugin relation", ALLOCSET_SMALL_SIZES);
        }
        entry->layout = encode::describe_relation(relation, entry->context);
        entry->sent = entry->sent && entry->fingerprint == entry->layout->fingerprint;
        entry->fingerprint = entry->layout->fingerprint;
    }
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

// Definitions of relations across batches, and errors in batches.
#include "json_records.hpp"

namespace cdc::functions {

namespace {

struct Definition {
    Oid relation_id;  // hash key
    char *bytes;
    Size size;
};

std::string_view find_definition(void *context, uint32_t relation_id) {
    const Oid key = relation_id;
    const auto *const found =
        static_cast<Definition *>(hash_search(reinterpret_cast<HTAB *>(context), &key, HASH_FIND, nullptr));
    return found == nullptr ? std::string_view() : std::string_view(found->bytes, found->size);
}

}  // namespace

struct Definitions {
    HTAB *by_id;
    MemoryContext context;
};

Definitions *make_definitions(MemoryContext context) {
    auto *const definitions = static_cast<Definitions *>(MemoryContextAlloc(context, sizeof(Definitions)));
    HASHCTL control{};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(Definition);
    control.hcxt = context;
    definitions->by_id = hash_create("cdc_plugin definitions", 32, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    definitions->context = context;
    return definitions;
}

void remember_definition(Definitions *definitions, const wire::RecordView &record, std::string_view relation) {
    const Oid relation_id = wire::relation_oid(record);
    auto *const bytes = static_cast<char *>(MemoryContextAlloc(definitions->context, relation.size() + 1));
    memcpy(bytes, relation.data(), relation.size());
    bool found;
    auto *const entry = static_cast<Definition *>(hash_search(definitions->by_id, &relation_id, HASH_ENTER, &found));
    if (found) {
        pfree(entry->bytes);
    }
    entry->bytes = bytes;
    entry->size = relation.size();
}

wire::RelationSource source_of(Definitions *definitions) {
    return wire::RelationSource{find_definition, definitions->by_id};
}

Datum jsonb_from(wire::Buffer &text) {
    text.append('\0');
    return DirectFunctionCall1(jsonb_in, CStringGetDatum(reinterpret_cast<char *>(text.data)));
}

void check_batch(const wire::Error &error, Size batch_size) {
    if (error) {
        ereport(ERROR, errcode(ERRCODE_INVALID_BINARY_REPRESENTATION), errmsg("invalid batch of change records"),
                errdetail("At byte %zu of %zu: %s.", error.offset, static_cast<size_t>(batch_size), error.what),
                errhint("Give the bytes of one or more whole messages of a slot with format=protobuf and "
                        "framing=none."));
    }
}

}  // namespace cdc::functions

// Relations from the catalogs.
#include "relation.hpp"

#include "settings.hpp"

#include "../pg/compat.hpp"
#include "../pg/memory.hpp"
#include "../pg/text.hpp"
#include "../wire/records.hpp"
#include "../wire/value.hpp"

namespace cdc::encode {

namespace {

wire::ReplicaIdentity replica_identity(Relation relation) {
    switch (relation->rd_rel->relreplident) {
        case REPLICA_IDENTITY_DEFAULT:
            return wire::ReplicaIdentity::kDefault;
        case REPLICA_IDENTITY_NOTHING:
            return wire::ReplicaIdentity::kNothing;
        case REPLICA_IDENTITY_FULL:
            return wire::ReplicaIdentity::kFull;
        case REPLICA_IDENTITY_INDEX:
            return wire::ReplicaIdentity::kIndex;
        default:
            return wire::ReplicaIdentity::kUnspecified;
    }
}

// Positions in the primary key by attribute number, from 1.
void find_primary_key(Relation relation, uint32 *positions) {
    const Oid index = pg::primary_key_index(relation);
    if (!OidIsValid(index)) {
        return;
    }
    const HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
    if (!HeapTupleIsValid(tuple)) {
        return;
    }
    const auto *const row = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
    // One that is checked at the end of a transaction does not tell its rows apart before that.
    for (int i = 0; row->indimmediate && i < row->indnkeyatts; ++i) {
        const AttrNumber attribute = row->indkey.values[i];
        if (attribute > 0) {
            positions[attribute - 1] = static_cast<uint32>(i + 1);
        }
    }
    ReleaseSysCache(tuple);
}

bool is_costly(const Codec &codec) {
    return codec.length == -1 &&
           (codec.form == Form::kJsonb || codec.form == Form::kArray || codec.form == Form::kOther);
}

std::string_view schema_name(Oid schema) {
    const char *const name = get_namespace_name(schema);
    return name == nullptr ? std::string_view() : pg::name_to_utf8(name);
}

void add_name_source(RelationLayout *layout, int cache_id, Oid oid) {
    const uint32 hash = GetSysCacheHashValue1(cache_id, ObjectIdGetDatum(oid));
    for (int i = 0; i < layout->name_source_count; ++i) {
        if (layout->name_sources[i].cache_id == cache_id && layout->name_sources[i].hash == hash) {
            return;
        }
    }
    layout->name_sources[layout->name_source_count++] = NameSource{cache_id, hash};
}

void write_column(RelationLayout *layout, wire::Buffer &out, const FormData_pg_attribute *attribute,
                  const Attribute &described, uint32 primary_key_position) {
    wire::ColumnRecord column{};
    column.name = pg::name_to_utf8(NameStr(attribute->attname));
    column.type_oid = attribute->atttypid;
    column.type_modifier = attribute->atttypmod;
    const HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(attribute->atttypid));
    if (HeapTupleIsValid(tuple)) {
        const auto *const type = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple));
        add_name_source(layout, TYPEOID, attribute->atttypid);
        add_name_source(layout, NAMESPACEOID, type->typnamespace);
        column.type_schema = schema_name(type->typnamespace);
        column.type_name = pg::name_to_utf8(NameStr(type->typname));
        ReleaseSysCache(tuple);
    }
    column.type_sql = pg::name_to_utf8(
        format_type_extended(attribute->atttypid, attribute->atttypmod,
                             FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_ALLOW_INVALID | FORMAT_TYPE_FORCE_QUALIFY));
    column.base_type_oid = described.codec.type == attribute->atttypid ? InvalidOid : described.codec.type;
    column.nullable = !attribute->attnotnull;
    column.generated =
        attribute->attgenerated == ATTRIBUTE_GENERATED_STORED ? wire::Generated::kStored : wire::Generated::kNone;
    column.in_replica_identity = described.in_identity;
    column.primary_key_position = primary_key_position;
    column.attribute_number = static_cast<uint32>(attribute->attnum);
    wire::write_relation_column(out, column);
}

wire::RootRecord find_root(RelationLayout *layout, Relation relation) {
    wire::RootRecord root{};
    List *const ancestors =
        relation->rd_rel->relispartition ? get_partition_ancestors(RelationGetRelid(relation)) : NIL;
    const char *const name = ancestors == NIL ? nullptr : get_rel_name(llast_oid(ancestors));
    if (name != nullptr) {
        const Oid schema = get_rel_namespace(llast_oid(ancestors));
        root.relation_id = llast_oid(ancestors);
        root.schema = schema_name(schema);
        root.name = pg::name_to_utf8(name);
        add_name_source(layout, NAMESPACEOID, schema);
    }
    return root;
}

}  // namespace

RelationLayout *describe_relation(Relation relation, MemoryContext context) {
    const TupleDesc descriptor = RelationGetDescr(relation);
    const auto count = static_cast<Size>(descriptor->natts);
    const MemoryContext work = AllocSetContextCreate(context, "cdc_plugin describe relation", ALLOCSET_SMALL_SIZES);
    const MemoryContext caller = MemoryContextSwitchTo(work);
    pin_settings();  // type names depend on them

    auto *const layout = static_cast<RelationLayout *>(MemoryContextAllocZero(context, sizeof(RelationLayout)));
    layout->identity = replica_identity(relation);
    layout->attribute_count = descriptor->natts;
    layout->attributes = static_cast<Attribute *>(MemoryContextAllocZero(context, (count + 1) * sizeof(Attribute)));
    layout->name_sources = static_cast<NameSource *>(MemoryContextAlloc(context, (2 * count + 2) * sizeof(NameSource)));
    add_name_source(layout, NAMESPACEOID, RelationGetNamespace(relation));
    layout->fixed_room = (count + 1) * wire::kFixedValueRoom;

    auto *const primary_key = static_cast<uint32 *>(palloc0((count + 1) * sizeof(uint32)));
    find_primary_key(relation, primary_key);
    const bool full = layout->identity == wire::ReplicaIdentity::kFull;
    const Bitmapset *const identity = full ? nullptr : RelationGetIdentityKeyBitmap(relation);

    wire::Buffer message = pg::make_buffer(work, 1024);
    wire::write_relation_head(message, RelationGetRelid(relation), schema_name(RelationGetNamespace(relation)),
                              pg::name_to_utf8(RelationGetRelationName(relation)), layout->identity);
    for (int i = 0; i < descriptor->natts; ++i) {
        const FormData_pg_attribute *const attribute = TupleDescAttr(descriptor, i);
        Attribute &described = layout->attributes[i];
        if (attribute->attisdropped || pg::is_virtual(attribute)) {
            // Its type may be gone; what it takes to step over its values is not.
            described.codec.length = attribute->attlen;
            described.codec.by_value = attribute->attbyval;
            described.codec.align = pg::alignment(attribute->attalign);
            continue;
        }
        described.sent = true;
        described.in_identity = full || bms_is_member(attribute->attnum - FirstLowInvalidHeapAttributeNumber, identity);
        described.codec = make_codec(attribute->atttypid, context);
        if (is_costly(described.codec)) {
            described.memo = static_cast<Memo *>(MemoryContextAllocZero(context, sizeof(Memo)));
        }
        write_column(layout, message, attribute, described, primary_key[i]);
    }
    layout->fingerprint = wire::write_relation_end(message, 0, find_root(layout, relation));

    auto *const bytes = static_cast<char *>(MemoryContextAlloc(context, message.used));
    memcpy(bytes, message.data, message.used);
    layout->message = std::string_view(bytes, message.used);
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(work);
    return layout;
}

}  // namespace cdc::encode

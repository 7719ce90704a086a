// Writers of the records other than changes.
#include "records.hpp"

namespace cdc::wire {

namespace {

constexpr size_t kFingerprintSize = 1 + 8;  // tag and value

// Opens Batch.records and the field of Record that says which kind it is.
struct OpenRecord {
    Nested record;
    Nested body;
};

OpenRecord begin_record(Buffer &out, uint32_t kind, size_t expected_size) {
    const Nested record = begin_nested(out, batch::records, expected_size + 2);
    return OpenRecord{record, begin_nested(out, kind, expected_size)};
}

void end_record(Buffer &out, const OpenRecord &open) {
    // Inner first: the outer length counts the inner one's bytes.
    end_nested(out, open.body);
    end_nested(out, open.record);
}

}  // namespace

void write_begin(Buffer &out, const BeginRecord &begin) {
    const OpenRecord open = begin_record(out, record::begin, 32);
    put_uint(out, begin::xid, begin.xid);
    put_uint(out, begin::commit_lsn, begin.commit_lsn);
    put_fixed64(out, begin::commit_time_micros, static_cast<uint64_t>(begin.commit_time_micros));
    if (begin.has_origin) {
        const Nested nested = begin_nested(out, begin::origin, 32);
        put_bytes(out, origin::name, begin.origin_name);
        put_uint(out, origin::lsn, begin.origin_lsn);
        end_nested(out, nested);
    }
    end_record(out, open);
}

void write_commit(Buffer &out, const CommitRecord &commit) {
    const OpenRecord open = begin_record(out, record::commit, 32);
    put_uint(out, commit::xid, commit.xid);
    put_uint(out, commit::commit_lsn, commit.commit_lsn);
    put_uint(out, commit::end_lsn, commit.end_lsn);
    put_fixed64(out, commit::commit_time_micros, static_cast<uint64_t>(commit.commit_time_micros));
    put_uint(out, commit::record_count, commit.record_count);
    end_record(out, open);
}

void write_message(Buffer &out, const MessageRecord &message) {
    const OpenRecord open = begin_record(out, record::message, message.prefix.size() + message.content.size() + 16);
    put_uint(out, message::ordinal, message.ordinal);
    put_uint(out, message::transactional, message.transactional ? 1 : 0);
    put_uint(out, message::lsn, message.lsn);
    put_bytes(out, message::prefix, message.prefix);
    put_bytes(out, message::content, message.content);
    put_uint(out, message::too_large_bytes, message.too_large_bytes);
    end_record(out, open);
}

void write_truncate(Buffer &out, uint64_t ordinal, const uint32_t *relation_ids, size_t count, bool cascade,
                    bool restart_identity) {
    const OpenRecord open = begin_record(out, record::truncate, 8 + count * 3);
    put_uint(out, truncate::ordinal, ordinal);
    const Nested ids = begin_nested(out, truncate::relation_ids, count * 3);
    for (size_t i = 0; i < count; ++i) {
        out.advance_to(put_varint(out.reserve(kMaxVarint), relation_ids[i]));
    }
    end_nested(out, ids);
    put_uint(out, truncate::cascade, cascade ? 1 : 0);
    put_uint(out, truncate::restart_identity, restart_identity ? 1 : 0);
    end_record(out, open);
}

void write_relation_head(Buffer &out, uint32_t relation_id, std::string_view schema, std::string_view name,
                         ReplicaIdentity identity) {
    put_uint(out, relation::relation_id, relation_id);
    put_bytes(out, relation::schema, schema);
    put_bytes(out, relation::name, name);
    put_uint(out, relation::replica_identity, static_cast<uint64_t>(identity));
}

void write_relation_column(Buffer &out, const ColumnRecord &column) {
    const Nested nested = begin_nested(out, relation::columns, 100);
    put_bytes(out, column::name, column.name);
    put_uint(out, column::type_oid, column.type_oid);
    put_bytes(out, column::type_schema, column.type_schema);
    put_bytes(out, column::type_name, column.type_name);
    put_sint(out, column::type_modifier, column.type_modifier);
    put_bytes(out, column::type_sql, column.type_sql);
    put_uint(out, column::base_type_oid, column.base_type_oid);
    put_uint(out, column::nullable, column.nullable ? 1 : 0);
    put_uint(out, column::generated, static_cast<uint64_t>(column.generated));
    put_uint(out, column::in_replica_identity, column.in_replica_identity ? 1 : 0);
    put_uint(out, column::primary_key_position, column.primary_key_position);
    put_uint(out, column::attribute_number, column.attribute_number);
    end_nested(out, nested);
}

uint64_t fnv1a(const uint8_t *bytes, size_t size, uint64_t hash) {
    for (size_t i = 0; i < size; ++i) {
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    }
    return hash;
}

uint64_t write_relation_end(Buffer &out, size_t start, const RootRecord &root) {
    // The fingerprint stands in the midst of what it is the hash of, because fields are written in their order.
    const size_t gap = out.used;
    out.advance_to(out.reserve(kFingerprintSize) + kFingerprintSize);
    put_uint(out, relation::root_relation_id, root.relation_id);
    put_bytes(out, relation::root_schema, root.schema);
    put_bytes(out, relation::root_name, root.name);
    const uint8_t *const behind = out.data + gap + kFingerprintSize;
    const uint64_t head = fnv1a(out.data + start, gap - start);
    const uint64_t fingerprint = fnv1a(behind, out.used - gap - kFingerprintSize, head);
    out.data[gap] = static_cast<uint8_t>(tag(relation::fingerprint, kFixed64));
    put_raw64(out.data + gap + 1, fingerprint);
    return fingerprint;
}

void write_relation_record(Buffer &out, std::string_view relation) {
    const Nested nested = begin_nested(out, batch::records, relation.size() + 1 + varint_size(relation.size()));
    put_bytes(out, record::relation, relation);
    end_nested(out, nested);
}

}  // namespace cdc::wire

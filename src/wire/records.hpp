// The records of a stream other than changes, each from a plain description into a Buffer. (Changes are written value
// by value where the tuples are: see encode/.) Times and LSNs are in the units of change.proto.
#pragma once

#include "writer.hpp"

#include <string_view>

namespace cdc::wire {

struct BeginRecord {
    uint64_t xid;
    uint64_t commit_lsn;
    int64_t commit_time_micros;
    bool has_origin;
    std::string_view origin_name;
    uint64_t origin_lsn;
};

struct CommitRecord {
    uint64_t xid;
    uint64_t commit_lsn;
    uint64_t end_lsn;
    int64_t commit_time_micros;
    uint64_t record_count;
};

struct ColumnRecord {
    std::string_view name;
    uint32_t type_oid;
    std::string_view type_schema;
    std::string_view type_name;
    int32_t type_modifier;
    std::string_view type_sql;
    uint32_t base_type_oid;
    bool nullable;
    Generated generated;
    bool in_replica_identity;
    uint32_t primary_key_position;
    uint32_t attribute_number;
};

// The topmost table that a partition belongs to; all empty for what is none.
struct RootRecord {
    uint32_t relation_id;
    std::string_view schema;
    std::string_view name;
};

struct MessageRecord {
    uint64_t ordinal;
    bool transactional;
    uint64_t lsn;
    std::string_view prefix;
    std::string_view content;
    uint64_t too_large_bytes;  // 0: content is complete
};

void write_begin(Buffer &out, const BeginRecord &begin);
void write_commit(Buffer &out, const CommitRecord &commit);
void write_message(Buffer &out, const MessageRecord &message);
void write_truncate(Buffer &out, uint64_t ordinal, const uint32_t *relation_ids, size_t count, bool cascade,
                    bool restart_identity);

// A Relation message (not yet a record) is written piece by piece: head, columns, end.
void write_relation_head(Buffer &out, uint32_t relation_id, std::string_view schema, std::string_view name,
                         ReplicaIdentity identity);
void write_relation_column(Buffer &out, const ColumnRecord &column);
// Ends the Relation message that starts at offset `start`, and returns its fingerprint.
uint64_t write_relation_end(Buffer &out, size_t start, const RootRecord &root);

// A finished Relation message as a record.
void write_relation_record(Buffer &out, std::string_view relation);

// FNV-1a, 64 bits; of bytes in pieces, if each is given the hash of those before it.
uint64_t fnv1a(const uint8_t *bytes, size_t size, uint64_t hash = 0xcbf29ce484222325);

}  // namespace cdc::wire

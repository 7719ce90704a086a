// change.proto in C++: field numbers, enum values and field tags. test/unit holds each to the schema's descriptors.
#pragma once

#include <cstdint>

namespace cdc::wire {

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

constexpr uint32_t tag(uint32_t field, WireType type) {
    return field << 3 | type;
}

namespace batch {
constexpr uint32_t records = 1;
}

namespace record {
constexpr uint32_t begin = 1, commit = 2, relation = 3, change = 4, truncate = 5, message = 6;
}

namespace begin {
constexpr uint32_t xid = 1, commit_lsn = 2, commit_time_micros = 3, origin = 4;
}

namespace origin {
constexpr uint32_t name = 1, lsn = 2;
}

namespace commit {
constexpr uint32_t xid = 1, commit_lsn = 2, end_lsn = 3, commit_time_micros = 4, record_count = 5;
}

namespace relation {
constexpr uint32_t relation_id = 1, schema = 2, name = 3, replica_identity = 4, columns = 5, fingerprint = 6,
                   root_relation_id = 7, root_schema = 8, root_name = 9;
}

namespace column {
constexpr uint32_t name = 1, type_oid = 2, type_schema = 3, type_name = 4, type_modifier = 5, type_sql = 6,
                   base_type_oid = 7, nullable = 8, generated = 9, in_replica_identity = 10, primary_key_position = 11,
                   attribute_number = 12;
}

namespace change {
constexpr uint32_t op = 1, ordinal = 2, relation_id = 3, before_kind = 4, before = 5, after = 6, changed = 7;
}

namespace changed_columns {
constexpr uint32_t columns = 1;
}

namespace truncate {
constexpr uint32_t ordinal = 1, relation_ids = 2, cascade = 3, restart_identity = 4;
}

namespace message {
constexpr uint32_t ordinal = 1, transactional = 2, lsn = 3, prefix = 4, content = 5, too_large_bytes = 6;
}

namespace value {
constexpr uint32_t absent = 1, boolean = 2, integer = 3, float8 = 4, float4 = 5, text = 6, numeric = 7,
                   timestamp_micros = 8, timestamptz_micros = 9, date_days = 10, uuid = 11, json = 12, bytea = 13,
                   array = 14, other_text = 15, oid = 16, time_micros = 17, timetz = 18, interval = 19, infinity = 20,
                   too_large_bytes = 21, undecoded_text = 22;
}

namespace timetz {
constexpr uint32_t micros = 1, utc_offset_seconds = 2;
}

namespace interval {
constexpr uint32_t months = 1, days = 2, micros = 3;
}

namespace array {
constexpr uint32_t dimensions = 1, lower_bounds = 2, elements = 3;
}

enum class ReplicaIdentity : uint8_t { kUnspecified, kDefault, kNothing, kFull, kIndex };
enum class Generated : uint8_t { kNone, kStored };
enum class Op : uint8_t { kUnspecified, kInsert, kUpdate, kDelete, kRead };
enum class Before : uint8_t { kNone, kKey, kFull };
enum class Absent : uint8_t { kUnspecified, kNull, kUnchangedToast, kNotInReplicaIdentity };
enum class Infinity : uint8_t { kUnspecified, kPositive, kNegative };

// Seconds and days from the Unix epoch to the one of change.proto, 2000-01-01.
constexpr int64_t kEpochUnixSeconds = 946684800;
constexpr int32_t kEpochUnixDays = 10957;

// Logical messages with this prefix are heartbeats; no filter holds them back.
constexpr char kHeartbeatPrefix[] = "cdc_plugin.heartbeat";

// The version of the contract, as in its package name.
constexpr int kWireVersion = 1;

}  // namespace cdc::wire

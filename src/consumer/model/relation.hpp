// The definition of a source table, as its Relation record tells it, and what follows from it for a copy of the table.
#pragma once

#include "../../wire/schema.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cdc::consumer {

struct Column {
    std::string name;
    uint32_t attribute_number = 0;  // stays the same when the column is renamed
    uint32_t type_oid = 0;
    std::string type_schema;
    std::string type_name;
    int32_t type_modifier = -1;
    std::string type_sql;        // numeric(12,2)
    uint32_t base_type_oid = 0;  // of a domain, otherwise 0
    bool nullable = true;
    bool generated = false;
    bool in_replica_identity = false;
    uint32_t primary_key_position = 0;  // from 1; 0: not part of it

    // The type that values have on the wire.
    uint32_t value_type() const { return base_type_oid != 0 ? base_type_oid : type_oid; }
};

struct TableName {
    std::string schema;
    std::string name;

    // schema.name as people write it, without quotes: for messages.
    std::string text() const { return schema + '.' + name; }
    bool operator==(const TableName &other) const { return schema == other.schema && name == other.name; }
    bool operator<(const TableName &other) const {
        return schema != other.schema ? schema < other.schema : name < other.name;
    }
};

struct Relation {
    uint32_t id = 0;
    TableName table;
    wire::ReplicaIdentity identity = wire::ReplicaIdentity::kUnspecified;
    std::vector<Column> columns;  // row values are positional against them
    uint64_t fingerprint = 0;
    uint32_t root_id = 0;  // of a partition: its topmost ancestor; otherwise 0
    TableName root;
    std::string message;      // the Relation message that all this was read from
    std::vector<size_t> key;  // columns that identify a row, in key order; empty: only the whole row does

    // The table that its rows belong to downstream: partitions go into one.
    const TableName &target() const { return root_id != 0 ? root : table; }
    bool is_partition() const { return root_id != 0; }
    // Whether updates and deletes say which row they are about.
    bool identifies_rows() const;
};

// Reads a Relation message. Throws CorruptStream.
Relation parse_relation(std::string_view message);

}  // namespace cdc::consumer

#include "relation.hpp"

#include "row.hpp"

#include "../../wire/reader.hpp"

#include <algorithm>

namespace cdc::consumer {

namespace {

using wire::Field;
using wire::Reader;

std::string read_string(const Reader &reader, const Field &field) {
    return std::string(wire::expect_string(reader, field));
}

uint64_t read_number(const Reader &reader, const Field &field) {
    return wire::expect_number(reader, field, wire::kVarint);
}

Column read_column(Reader fields) {
    Column column;
    Field field;
    while (fields.next(field)) {
        switch (field.number) {
            case wire::column::name:
                column.name = read_string(fields, field);
                break;
            case wire::column::type_oid:
                column.type_oid = static_cast<uint32_t>(read_number(fields, field));
                break;
            case wire::column::type_schema:
                column.type_schema = read_string(fields, field);
                break;
            case wire::column::type_name:
                column.type_name = read_string(fields, field);
                break;
            case wire::column::type_modifier:
                column.type_modifier = static_cast<int32_t>(wire::unzigzag(read_number(fields, field)));
                break;
            case wire::column::type_sql:
                column.type_sql = read_string(fields, field);
                break;
            case wire::column::base_type_oid:
                column.base_type_oid = static_cast<uint32_t>(read_number(fields, field));
                break;
            case wire::column::nullable:
                column.nullable = read_number(fields, field) != 0;
                break;
            case wire::column::generated:
                column.generated = read_number(fields, field) != 0;
                break;
            case wire::column::in_replica_identity:
                column.in_replica_identity = read_number(fields, field) != 0;
                break;
            case wire::column::primary_key_position:
                column.primary_key_position = static_cast<uint32_t>(read_number(fields, field));
                break;
            case wire::column::attribute_number:
                column.attribute_number = static_cast<uint32_t>(read_number(fields, field));
                break;
            default:  // of a later version
                break;
        }
    }
    return column;
}

// The identity's index where there is one, because only its columns are in old rows; else the primary key.
std::vector<size_t> find_key(const Relation &relation) {
    std::vector<size_t> key;
    const bool by_index = relation.identity == wire::ReplicaIdentity::kIndex;
    for (size_t i = 0; i < relation.columns.size(); ++i) {
        const Column &column = relation.columns[i];
        if (by_index ? column.in_replica_identity : column.primary_key_position != 0) {
            key.push_back(i);
        }
    }
    if (!by_index) {
        std::sort(key.begin(), key.end(), [&](size_t left, size_t right) {
            return relation.columns[left].primary_key_position < relation.columns[right].primary_key_position;
        });
    }
    return key;
}

}  // namespace

bool Relation::identifies_rows() const {
    return identity == wire::ReplicaIdentity::kFull || identity == wire::ReplicaIdentity::kIndex ||
           (identity == wire::ReplicaIdentity::kDefault && !key.empty());
}

Relation parse_relation(std::string_view message) {
    Relation relation;
    relation.message = message;
    wire::Error error;
    Reader fields(message, message.data(), error);
    Field field;
    while (fields.next(field)) {
        switch (field.number) {
            case wire::relation::relation_id:
                relation.id = static_cast<uint32_t>(read_number(fields, field));
                break;
            case wire::relation::schema:
                relation.table.schema = read_string(fields, field);
                break;
            case wire::relation::name:
                relation.table.name = read_string(fields, field);
                break;
            case wire::relation::replica_identity: {
                const uint64_t identity = read_number(fields, field);
                if (identity > static_cast<uint64_t>(wire::ReplicaIdentity::kIndex)) {
                    fields.fail("unknown replica identity", field);
                }
                relation.identity = static_cast<wire::ReplicaIdentity>(identity);
                break;
            }
            case wire::relation::columns:
                wire::expect_bytes(fields, field);
                relation.columns.push_back(read_column(fields.enter(field)));
                break;
            case wire::relation::fingerprint:
                relation.fingerprint = wire::expect_number(fields, field, wire::kFixed64);
                break;
            case wire::relation::root_relation_id:
                relation.root_id = static_cast<uint32_t>(read_number(fields, field));
                break;
            case wire::relation::root_schema:
                relation.root.schema = read_string(fields, field);
                break;
            case wire::relation::root_name:
                relation.root.name = read_string(fields, field);
                break;
            default:  // of a later version
                break;
        }
    }
    if (error) {
        throw CorruptStream(std::string("relation record: ") + error.what);
    }
    relation.key = find_key(relation);
    return relation;
}

}  // namespace cdc::consumer

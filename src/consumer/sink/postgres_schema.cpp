#include "postgres_schema.hpp"

#include "sink.hpp"

#include <algorithm>
#include <utility>

namespace cdc::consumer {

namespace {

constexpr uint32_t kFirstUserOid = 16384;  // below, an OID means the same on every server
constexpr size_t kMaxIndexColumns = 3;

bool ends_with_brackets(const std::string &type) {
    return type.size() > 2 && type.compare(type.size() - 2, 2, "[]") == 0;
}

// Of few bytes and with many values: good to find a row by.
bool is_indexable(uint32_t type_oid) {
    switch (type_oid) {
        case 20:    // int8
        case 21:    // int2
        case 23:    // int4
        case 26:    // oid
        case 1082:  // date
        case 1083:  // time
        case 1114:  // timestamp
        case 1184:  // timestamptz
        case 2950:  // uuid
            return true;
        default:
            return false;
    }
}

Failure cannot_follow(const TableName &table, const ServerError &error) {
    std::string what = "the copy of " + table.text() + " cannot follow the source's definition: " + error.what();
    if (!error.detail().empty()) {
        what += " (" + error.detail() + ")";
    }
    std::replace(what.begin(), what.end(), '\n', ' ');
    return Failure(what, "Drop what stands in the way at the target and start again, or use --on-rewrite=resnapshot.",
                   ExitCode::kSchema);
}

}  // namespace

const CopyColumn *CopyTable::find(const std::string &column) const {
    for (const CopyColumn &candidate : columns) {
        if (candidate.name == column) {
            return &candidate;
        }
    }
    return nullptr;
}

std::string quoted(const TableName &table) {
    return quote_identifier(table.schema) + '.' + quote_identifier(table.name);
}

std::string quoted_list(const std::vector<std::string> &names) {
    std::string list;
    for (const std::string &name : names) {
        list += (list.empty() ? "" : ", ") + quote_identifier(name);
    }
    return list;
}

bool is_exact_type(uint32_t type_oid) {
    switch (type_oid) {
        case 16:    // bool
        case 17:    // bytea
        case 18:    // "char"
        case 19:    // name
        case 25:    // text
        case 1043:  // varchar
            return true;
        default:
            return is_indexable(type_oid);
    }
}

std::string comparable(const std::string &expression, uint32_t type_oid) {
    return is_exact_type(type_oid) ? expression : expression + "::pg_catalog.text";
}

std::optional<CopyTable> PostgresSchema::look_up(const TableName &table) {
    const Result found = connection_.query(
        "SELECT c.oid, c.relkind, k.conname FROM pg_catalog.pg_class c"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " LEFT JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'"
        " WHERE n.nspname = $1 AND c.relname = $2",
        {table.schema, table.name});
    if (found.rows() == 0) {
        return std::nullopt;
    }
    if (found.text(0, 1) != "r") {
        throw Failure(table.text() + " is there at the target, but is not an ordinary table",
                      "Rename or drop it, or leave it out with --exclude-tables.");
    }
    CopyTable copy;
    copy.key_constraint = found.optional(0, 2).value_or("");
    const Result columns = connection_.query(
        "SELECT a.attname, a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod), t.typtype = 'e',"
        " pg_catalog.array_position(i.indkey::int2[], a.attnum)"
        " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
        " LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary"
        " WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        {found.text(0, 0)});
    std::vector<std::pair<int, std::string>> key;
    for (int row = 0; row < columns.rows(); ++row) {
        CopyColumn column;
        column.name = columns.text(row, 0);
        column.type_oid = static_cast<uint32_t>(std::stoul(columns.text(row, 1)));
        column.type = columns.text(row, 2);
        column.is_enum = columns.text(row, 3) == "t";
        if (!columns.is_null(row, 4)) {
            key.emplace_back(std::stoi(columns.text(row, 4)), column.name);
        }
        copy.columns.push_back(std::move(column));
    }
    std::sort(key.begin(), key.end());
    for (auto &[position, name] : key) {
        copy.key.push_back(std::move(name));
    }
    return copy;
}

void PostgresSchema::create_schema(const std::string &schema) {
    // IF NOT EXISTS alone asks for the right to create schemas even if there is nothing to create.
    if (connection_.query("SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1", {schema}).rows() == 0) {
        connection_.query("CREATE SCHEMA IF NOT EXISTS " + quote_identifier(schema));
    }
}

std::string PostgresSchema::type_of(const Column &column) {
    std::string &type = types_[{column.value_type(), column.type_sql}];
    if (!type.empty()) {
        return type;
    }
    if (column.base_type_oid != 0) {
        // A domain: its base type, without the modifier, which is not known.
        type = "text";
        if (column.base_type_oid < kFirstUserOid) {
            type =
                connection_.query("SELECT pg_catalog.format_type($1::oid, -1)", {std::to_string(column.base_type_oid)})
                    .text(0, 0);
        }
    } else if (column.type_oid < kFirstUserOid) {
        type = column.type_sql;
    } else if (!connection_.query("SELECT pg_catalog.to_regtype($1)", {column.type_sql}).is_null(0, 0)) {
        return column.type_sql;  // not remembered: it may be dropped
    } else {
        return ends_with_brackets(column.type_sql) ? "text[]" : "text";
    }
    return type;
}

bool PostgresSchema::is_same_type(const CopyColumn &column, const std::string &type) {
    if (column.type == type) {
        return true;
    }
    // format_type() leaves out the schemas of search_path, and has names of its own for some types.
    const Result same = connection_.query("SELECT pg_catalog.to_regtype($1) = $2::oid AND $1 !~ '\\('",
                                          {type, std::to_string(column.type_oid)});
    return !same.is_null(0, 0) && same.text(0, 0) == "t" && column.type.find('(') == std::string::npos;
}

void PostgresSchema::create_table(const TableName &table, const Relation &relation) {
    std::string columns;
    for (const Column &column : relation.columns) {
        columns += (columns.empty() ? "" : ", ") + quote_identifier(column.name) + ' ' + type_of(column);
    }
    if (relation.is_partition()) {
        columns += (columns.empty() ? "" : ", ") + quote_identifier(kPartitionColumn) + " oid NOT NULL";
    }
    connection_.query("CREATE TABLE " + quoted(table) + " (" + columns + ")");
}

std::vector<std::string> PostgresSchema::key_of(const Relation &relation) {
    std::vector<std::string> key;
    for (const size_t column : relation.key) {
        key.push_back(relation.columns[column].name);
    }
    if (!key.empty() && relation.is_partition()) {
        key.emplace_back(kPartitionColumn);
    }
    return key;
}

void PostgresSchema::set_key(const TableName &table, const Relation &relation) {
    const auto copy = look_up(table);
    const std::vector<std::string> key = key_of(relation);
    if (!copy || (copy->key == key && !key.empty())) {
        return;
    }
    if (!copy->key.empty()) {
        alter(table, "DROP CONSTRAINT " + quote_identifier(copy->key_constraint));
        for (const std::string &column : copy->key) {
            if (column != kPartitionColumn && std::find(key.begin(), key.end(), column) == key.end()) {
                alter(table, "ALTER COLUMN " + quote_identifier(column) + " DROP NOT NULL");
            }
        }
    }
    if (!key.empty()) {
        alter(table, "ADD PRIMARY KEY (" + quoted_list(key) + ")");
        return;
    }
    std::vector<std::string> indexed;
    for (const Column &column : relation.columns) {
        const CopyColumn *const there = copy->find(column.name);
        if (there != nullptr && is_indexable(there->type_oid) && indexed.size() < kMaxIndexColumns) {
            indexed.push_back(column.name);
        }
    }
    const bool has_index =
        connection_.query("SELECT FROM pg_catalog.pg_index WHERE indrelid = $1::regclass", {quoted(table)}).rows() > 0;
    if (!indexed.empty() && !has_index) {
        connection_.query("CREATE INDEX ON " + quoted(table) + " (" + quoted_list(indexed) + ")");
    }
}

void PostgresSchema::alter(const TableName &table, const std::string &what) {
    try {
        connection_.query("ALTER TABLE " + quoted(table) + ' ' + what);
    } catch (const ServerError &error) {
        // Dependent objects, views over a column, values that do not fit: of the definition or of what hangs on it.
        const std::string sqlstate_class = error.sqlstate().substr(0, 2);
        if (sqlstate_class == "2B" || sqlstate_class == "0A" || sqlstate_class == "22" || sqlstate_class == "23" ||
            sqlstate_class == "42") {
            throw cannot_follow(table, error);
        }
        throw;
    }
}

void PostgresSchema::move(const TableName &from, const TableName &to) {
    if (from.schema != to.schema) {
        create_schema(to.schema);
        alter(from, "SET SCHEMA " + quote_identifier(to.schema));
    }
    if (from.name != to.name) {
        alter({to.schema, from.name}, "RENAME TO " + quote_identifier(to.name));
    }
}

void PostgresSchema::evolve(const Relation &relation, const Relation &previous, const Evolution &evolution) {
    TableName table = previous.target();
    for (const SchemaStep &step : evolution.steps) {
        if (step.kind == SchemaStep::kRenameTable) {
            if (look_up(relation.target())) {
                if (look_up(table)) {
                    throw Failure(
                        "the copy of " + table.text() + " cannot be renamed: " + relation.target().text() + " is there",
                        "Use --on-rewrite=resnapshot, or drop what stands in the way.", ExitCode::kSchema);
                }
            } else {
                move(table, relation.target());
            }
            table = relation.target();
        } else {
            take_step(step, relation, table);
        }
    }
}

void PostgresSchema::take_step(const SchemaStep &step, const Relation &relation, const TableName &table) {
    const auto copy = look_up(table);
    if (!copy) {
        throw Failure("the copy of " + table.text() + " is gone", "`cdc_consumer resnapshot` makes all copies anew.");
    }
    switch (step.kind) {
        case SchemaStep::kAddColumn: {
            const bool is_new = copy->find(step.column.name) == nullptr;
            if (is_new) {
                alter(table, "ADD COLUMN " + quote_identifier(step.column.name) + ' ' + type_of(step.column));
            }
            if (step.fill) {
                fill(step, relation, table, is_new);
            }
            break;
        }
        case SchemaStep::kDropColumn:
            if (copy->find(step.name) != nullptr) {
                alter(table, "DROP COLUMN " + quote_identifier(step.name));
            }
            break;
        case SchemaStep::kRenameColumn:
            if (copy->find(step.name) != nullptr) {
                alter(table,
                      "RENAME COLUMN " + quote_identifier(step.name) + " TO " + quote_identifier(step.column.name));
            }
            break;
        case SchemaStep::kAlterType: {
            const CopyColumn *const column = copy->find(step.column.name);
            const std::string type = type_of(step.column);
            if (column == nullptr || !is_same_type(*column, type)) {
                const std::string name = quote_identifier(step.column.name);
                alter(table, "ALTER COLUMN " + name + " TYPE " + type + " USING " + name + "::" + type);
            }
            break;
        }
        case SchemaStep::kRenameTable:
            break;
    }
}

// Rows of other partitions get the value with the column, since it is mostly their common parent's column; each
// partition's own step puts right those for which it was another one.
void PostgresSchema::fill(const SchemaStep &step, const Relation &relation, const TableName &table, bool whole_table) {
    const std::string name = quote_identifier(step.column.name);
    const std::string value = connection_.quote_literal(step.fill->text) + "::" + type_of(step.column);
    std::string sql = "UPDATE " + quoted(table) + " SET " + name + " = " + value;
    if (!whole_table) {
        sql += " WHERE " + name + "::pg_catalog.text IS DISTINCT FROM (" + value + ")::pg_catalog.text";
        if (relation.is_partition()) {
            sql += " AND " + quote_identifier(kPartitionColumn) + " = " + std::to_string(relation.id);
        }
    }
    connection_.query(sql);
}

void PostgresSchema::fit(const TableName &table, const Relation &relation,
                         const std::vector<std::string> &superfluous) {
    const auto copy = look_up(table);
    if (!copy) {
        return;
    }
    const auto is_wanted = [&](const std::string &name) {
        return std::any_of(relation.columns.begin(), relation.columns.end(),
                           [&](const Column &column) { return column.name == name; });
    };
    for (const std::string &name : superfluous) {
        if (copy->find(name) != nullptr && !is_wanted(name)) {
            alter(table, "DROP COLUMN " + quote_identifier(name));
        }
    }
    for (const Column &column : relation.columns) {
        const CopyColumn *const there = copy->find(column.name);
        const std::string type = type_of(column);
        const std::string name = quote_identifier(column.name);
        if (there == nullptr) {
            alter(table, "ADD COLUMN " + name + ' ' + type);
        } else if (!is_same_type(*there, type)) {
            // All rows come anew; what is in the old ones need not be of the new type.
            connection_.query("DELETE FROM " + quoted(table));
            alter(table, "ALTER COLUMN " + name + " TYPE " + type + " USING " + name + "::pg_catalog.text::" + type);
        }
    }
    if (relation.is_partition() && copy->find(kPartitionColumn) == nullptr) {
        alter(table, std::string("ADD COLUMN ") + quote_identifier(kPartitionColumn) + " oid NOT NULL DEFAULT 0");
        alter(table, std::string("ALTER COLUMN ") + quote_identifier(kPartitionColumn) + " DROP DEFAULT");
    }
}

}  // namespace cdc::consumer

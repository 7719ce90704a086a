#include "sqlite_schema.hpp"

#include "sink.hpp"

#include <algorithm>
#include <cstdlib>

namespace cdc::consumer {

namespace {

constexpr uint32_t kBool = 16, kBytea = 17, kInt8 = 20, kInt2 = 21, kInt4 = 23, kOid = 26, kJson = 114, kFloat4 = 700,
                   kFloat8 = 701, kDate = 1082, kTime = 1083, kTimestamp = 1114, kTimestamptz = 1184, kUuid = 2950,
                   kJsonb = 3802;

// Affinities under which nothing is converted: see bind_value().
const char *declared_type(uint32_t value_type) {
    switch (value_type) {
        case kBool:
        case kInt8:
        case kInt2:
        case kInt4:
        case kOid:
            return "INTEGER";
        case kFloat4:
        case kFloat8:
            return "REAL";
        case kBytea:
            return "BLOB";
        default:
            return "TEXT";
    }
}

std::string quote(std::string_view name) {
    return quote_sqlite_name(name);
}

std::string row_index_name(const std::string &table) {
    return "cdc_row_" + table;
}

std::string join(const std::vector<std::string> &names) {
    std::string list;
    for (const std::string &name : names) {
        list += (list.empty() ? "" : ",") + quote(name);
    }
    return list;
}

// Runs a change of the definition; `what` says which, for the message.
void change_definition(Database &database, const std::string &sql, const std::string &what) {
    if (sqlite3_exec(database.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
        database.fail(what, ExitCode::kSchema);
    }
}

// [1, 2] as values on the wire become [1,2]. What is in objects stays as PostgreSQL prints it, as in json.
std::string compact_array(const std::string &json) {
    std::string compact;
    bool in_string = false;
    int objects = 0;
    for (size_t i = 0; i < json.size(); ++i) {
        const char c = json[i];
        if (in_string) {
            if (c == '\\' && i + 1 < json.size()) {
                compact += c;
                compact += json[++i];
                continue;
            }
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '}') {
            objects += c == '{' ? 1 : -1;
        } else if (c == ' ' && objects == 0) {
            continue;
        }
        compact += c;
    }
    return compact;
}

std::string unhex(const std::string &text) {  // \x00ff
    std::string bytes;
    for (size_t i = 2; i + 1 < text.size(); i += 2) {
        bytes += static_cast<char>(std::strtol(text.substr(i, 2).c_str(), nullptr, 16));
    }
    return bytes;
}

// Gives rows that are there their value in a new column: what bind_value() would have bound for it.
void fill_column(Database &database, const std::string &table, const Column &column, const SchemaStep::Fill &fill) {
    Statement update = database.prepare("UPDATE " + quote(table) + " SET " + quote(column.name) + " = ?1");
    const uint32_t type = column.value_type();
    const std::string affinity = declared_type(type);
    std::string text = fill.text;
    if (affinity == "INTEGER") {
        update.bind(1, type == kBool ? int64_t{text == "t"} : std::strtoll(text.c_str(), nullptr, 10));
    } else if (affinity == "REAL" && text != "NaN") {
        sqlite3_bind_double(update.get(), 1, std::strtod(text.c_str(), nullptr));
    } else if (affinity == "BLOB") {
        text = unhex(text);
        update.bind_blob(1, text);
    } else {
        if (!fill.json.empty() && fill.json[0] == '[' && type != kJson && type != kJsonb) {
            text = compact_array(fill.json);
        } else if ((type == kTimestamp || type == kTimestamptz) && fill.json.size() > 2) {
            text = fill.json.substr(1, fill.json.size() - 2);
        }
        update.bind(1, text);
    }
    update.run();
}

// Partitions share a table, and each brings the same steps. Those that were done show in the table, unless a name that
// they free is used again.
void check_repeatable(const Relation &relation, const Evolution &evolution) {
    for (const SchemaStep &step : evolution.steps) {
        const bool frees = step.kind == SchemaStep::kDropColumn || step.kind == SchemaStep::kRenameColumn;
        const bool used = std::any_of(relation.columns.begin(), relation.columns.end(),
                                      [&](const Column &column) { return column.name == step.name; });
        if (frees && used) {
            throw Failure("partitioned table " + relation.target().text() + ": column " + step.name +
                              " was replaced by another of the same name",
                          "Run cdc_consumer resnapshot to copy the tables anew.", ExitCode::kSchema);
        }
    }
}

// Makes a table anew, where ALTER TABLE cannot do what is wanted.
void rebuild_table(Database &database, const std::string &table, const TableShape &have, const TableShape &want) {
    for (const TableShape::Column &column : want.columns) {
        if (!have.has(column.name)) {
            throw Failure("SQLite file " + database.file() + ": table " + table + " has no column " + column.name,
                          "Run cdc_consumer resnapshot to copy the tables anew.", ExitCode::kSchema);
        }
    }
    const std::string stage = sqlite_stage_name(table);
    database.run("DROP TABLE IF EXISTS " + quote(stage));
    create_table(database, stage, want);
    const std::string columns = want.column_list();
    change_definition(database,
                      "INSERT INTO " + quote(stage) + '(' + columns + ") SELECT " + columns + " FROM " + quote(table),
                      "table " + table);
    replace_table(database, table, stage, want);
}

}  // namespace

std::string sqlite_table_name(const TableName &target) {
    return target.schema == "public" ? target.name : target.schema + '_' + target.name;
}

std::string sqlite_stage_name(const std::string &table) {
    return "cdc_new_" + table;
}

bool TableShape::operator==(const TableShape &other) const {
    std::vector<Column> mine = columns;
    std::vector<Column> others = other.columns;
    std::sort(mine.begin(), mine.end());
    std::sort(others.begin(), others.end());
    return mine == others && key == other.key;
}

bool TableShape::has(const std::string &column) const {
    return std::any_of(columns.begin(), columns.end(), [&](const Column &each) { return each.name == column; });
}

std::string TableShape::column_list() const {
    std::string list;
    for (const Column &column : columns) {
        list += (list.empty() ? "" : ",") + quote(column.name);
    }
    return list;
}

std::string rowid_name(const Relation &relation) {
    for (const char *name : {"rowid", "_rowid_", "oid"}) {
        if (std::none_of(relation.columns.begin(), relation.columns.end(),
                         [&](const Column &column) { return sqlite3_stricmp(column.name.c_str(), name) == 0; })) {
            return name;
        }
    }
    throw Failure("table " + relation.table.text() + " has columns named rowid, _rowid_ and oid, and no key",
                  "SQLite needs one of these names to find its rows: leave the table out of --tables.");
}

// Partitions may have the same key values, unless their root has the key, too: so the partition is a part of it.
TableShape wanted_shape(const Relation &relation) {
    TableShape shape;
    for (const Column &column : relation.columns) {
        shape.columns.push_back({column.name, declared_type(column.value_type())});
    }
    for (const size_t column : relation.key) {
        shape.key.push_back(relation.columns[column].name);
    }
    if (relation.is_partition()) {
        shape.columns.push_back({kPartitionColumn, "INTEGER"});
        if (!shape.key.empty()) {
            shape.key.push_back(kPartitionColumn);
        }
    }
    return shape;
}

TableShape read_table_shape(Database &database, const std::string &table) {
    Statement info = database.prepare("SELECT name, type, pk FROM pragma_table_info(?1)");
    info.bind(1, table);
    TableShape shape;
    std::vector<std::pair<int64_t, std::string>> key;
    while (info.step()) {
        shape.columns.push_back({info.text(0), info.text(1)});
        if (info.integer(2) != 0) {
            key.emplace_back(info.integer(2), info.text(0));
        }
    }
    std::sort(key.begin(), key.end());
    for (auto &[position, name] : key) {
        shape.key.push_back(std::move(name));
    }
    return shape;
}

// A key of one column that holds integers becomes the table's rowid.
void create_table(Database &database, const std::string &table, const TableShape &shape) {
    std::string sql = "CREATE TABLE " + quote(table) + " (";
    for (const TableShape::Column &column : shape.columns) {
        const bool in_key = std::find(shape.key.begin(), shape.key.end(), column.name) != shape.key.end();
        sql += quote(column.name) + ' ' + column.type + (in_key ? " NOT NULL, " : ", ");
    }
    if (shape.key.empty()) {
        sql.resize(sql.size() - 2);
    } else {
        sql += "PRIMARY KEY (" + join(shape.key) + ')';
    }
    change_definition(database, sql + ')', "table " + table);
}

void create_row_index(Database &database, const std::string &table, const Relation &relation) {
    if (!relation.key.empty()) {
        return;
    }
    // Of a size that does not bloat the index; those that tell rows apart best come first.
    std::vector<std::string> columns;
    std::vector<std::string> booleans;
    for (const Column &column : relation.columns) {
        switch (column.value_type()) {
            case kInt2:
            case kInt4:
            case kInt8:
            case kOid:
            case kUuid:
            case kDate:
            case kTime:
            case kTimestamp:
            case kTimestamptz:
                columns.push_back(column.name);
                break;
            case kBool:
                booleans.push_back(column.name);
                break;
            default:
                break;
        }
    }
    columns.insert(columns.end(), booleans.begin(), booleans.end());
    columns.resize(std::min<size_t>(columns.size(), 3));
    if (!columns.empty()) {
        database.run("CREATE INDEX IF NOT EXISTS " + quote(row_index_name(table)) + " ON " + quote(table) + '(' +
                     join(columns) + ')');
    }
}

void drop_row_index(Database &database, const std::string &table) {
    database.run("DROP INDEX IF EXISTS " + quote(row_index_name(table)));
}

void rename_table(Database &database, const std::string &from, const std::string &to) {
    // The legacy way, because the other refuses while a view names a table that is not there yet.
    database.run("PRAGMA legacy_alter_table = ON");
    try {
        change_definition(database, "ALTER TABLE " + quote(from) + " RENAME TO " + quote(to), "table " + to);
    } catch (...) {
        sqlite3_exec(database.get(), "PRAGMA legacy_alter_table = OFF", nullptr, nullptr, nullptr);
        throw;
    }
    database.run("PRAGMA legacy_alter_table = OFF");
}

void replace_table(Database &database, const std::string &table, const std::string &stage, const TableShape &shape) {
    struct Object {
        std::string type;
        std::string name;
        std::string sql;
    };
    std::vector<Object> objects;
    Statement query = database.prepare(
        "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = ?1 COLLATE NOCASE AND type IN ('index', 'trigger')"
        " AND sql IS NOT NULL AND name <> ?2 ORDER BY type");
    const std::string own_index = row_index_name(table);
    query.bind(1, table).bind(2, own_index);
    bool has_triggers = false;
    while (query.step()) {
        objects.push_back({query.text(0), query.text(1), query.text(2)});
        has_triggers = has_triggers || objects.back().type == "trigger";
    }
    if (has_triggers) {
        database.run("DELETE FROM " + quote(table));
    }
    database.run("DROP TABLE IF EXISTS " + quote(table));
    if (has_triggers) {
        create_table(database, table, shape);
    } else {
        rename_table(database, stage, table);
    }
    for (const Object &object : objects) {
        if (sqlite3_exec(database.get(), object.sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
            database.fail(object.type + ' ' + object.name + " does not fit the new definition of table " + table,
                          ExitCode::kSchema);
        }
    }
    if (has_triggers) {
        const std::string columns = shape.column_list();
        change_definition(
            database, "INSERT INTO " + quote(table) + '(' + columns + ") SELECT " + columns + " FROM " + quote(stage),
            "table " + table);
        database.run("DROP TABLE " + quote(stage));
    }
}

void evolve_table(Database &database, const Relation &previous, const Relation &relation, const Evolution &evolution) {
    if (relation.is_partition()) {
        check_repeatable(relation, evolution);
    }
    std::string table = sqlite_table_name(previous);
    const std::string new_table = sqlite_table_name(relation);
    if (read_table_shape(database, table).columns.empty()) {
        table = new_table;  // renamed already
    }
    const bool touches_index = std::any_of(evolution.steps.begin(), evolution.steps.end(), [](const SchemaStep &step) {
        return step.kind == SchemaStep::kDropColumn || step.kind == SchemaStep::kRenameTable;
    });
    if (touches_index) {
        drop_row_index(database, table);
    }
    for (const SchemaStep &step : evolution.steps) {
        const TableShape shape = read_table_shape(database, table);
        const std::string alter = "ALTER TABLE " + quote(table);
        const std::string where = "table " + table + ": ";
        switch (step.kind) {
            case SchemaStep::kAddColumn:
                if (!shape.has(step.column.name)) {
                    change_definition(database,
                                      alter + " ADD COLUMN " + quote(step.column.name) + ' ' +
                                          declared_type(step.column.value_type()),
                                      where + "cannot add column " + step.column.name);
                    if (step.fill) {
                        fill_column(database, table, step.column, *step.fill);
                    }
                }
                break;
            case SchemaStep::kDropColumn: {
                // A column of the key goes when the table is rebuilt, below.
                const bool in_key = std::find(shape.key.begin(), shape.key.end(), step.name) != shape.key.end();
                if (shape.has(step.name) && !in_key) {
                    change_definition(database, alter + " DROP COLUMN " + quote(step.name),
                                      where + "cannot drop column " + step.name);
                }
                break;
            }
            case SchemaStep::kRenameColumn:
                if (shape.has(step.name)) {
                    change_definition(database,
                                      alter + " RENAME COLUMN " + quote(step.name) + " TO " + quote(step.column.name),
                                      where + "cannot rename column " + step.name);
                }
                break;
            case SchemaStep::kAlterType:  // where the affinity changes, the table is rebuilt, below
                break;
            case SchemaStep::kRenameTable:
                if (table != new_table) {
                    change_definition(database, alter + " RENAME TO " + quote(new_table),
                                      where + "cannot rename it to " + new_table);
                    table = new_table;
                }
                break;
        }
    }
    const TableShape want = wanted_shape(relation);
    const TableShape have = read_table_shape(database, table);
    if (!(have == want)) {
        rebuild_table(database, table, have, want);
    }
    create_row_index(database, table, relation);
}

}  // namespace cdc::consumer

#include "sqlite_rows.hpp"

#include "sink.hpp"
#include "sqlite_schema.hpp"

#include "../model/value_text.hpp"

#include <algorithm>
#include <cmath>

namespace cdc::consumer {

namespace {

constexpr size_t kMaxUpdates = 64;  // statements kept for one table

constexpr char kFullHint[] =
    "ALTER TABLE ... REPLICA IDENTITY FULL makes changes say all of a row; then run cdc_consumer resnapshot.";

std::string quote(std::string_view name) {
    return quote_sqlite_name(name);
}

std::string parameter(size_t number) {
    return '?' + std::to_string(number);
}

}  // namespace

TableWriter::TableWriter(Database &database, const Relation &relation, const std::string &table)
    : database_(database), relation_(&relation), table_(quote(table)), texts_(2 * relation.columns.size() + 1) {
    std::string names;
    std::string values;
    std::string assignments;
    for (size_t i = 0; i < relation.columns.size(); ++i) {
        const std::string name = quote(relation.columns[i].name);
        names += (i == 0 ? "" : ",") + name;
        values += (i == 0 ? "" : ",") + parameter(i + 1);
        if (std::find(relation.key.begin(), relation.key.end(), i) == relation.key.end()) {
            assignments += (assignments.empty() ? "" : ",") + name + "=excluded." + name;
        }
    }
    std::string key;
    for (const size_t column : relation.key) {
        key += (key.empty() ? "" : ",") + quote(relation.columns[column].name);
    }
    if (relation.is_partition()) {
        const std::string separator = relation.columns.empty() ? "" : ",";
        names += separator + kPartitionColumn;
        values += separator + std::to_string(relation.id);
        key += key.empty() ? "" : std::string(",") + kPartitionColumn;
    }
    std::string sql = "INSERT INTO " + table_;
    sql += names.empty() ? " DEFAULT VALUES" : '(' + names + ") VALUES (" + values + ')';
    if (!key.empty()) {
        sql += " ON CONFLICT (" + key + ") DO " + (assignments.empty() ? "NOTHING" : "UPDATE SET " + assignments);
    }
    put_ = database_.prepare(sql);
}

void TableWriter::put(const Row &row) {
    for (size_t i = 0; i < row.size(); ++i) {
        bind_value(put_, static_cast<int>(i + 1), i, row[i]);
    }
    put_.run();
}

void TableWriter::update(const Change &change) {
    const Row &old_row = key_row(change);
    const bool full = change.before_kind == wire::Before::kFull;
    const bool moves = change.changes_key();
    // An old row that is complete tells which columns need not be written.
    columns_.assign(change.after.size(), 0);
    bool complete = true;
    bool any = false;
    for (size_t i = 0; i < change.after.size(); ++i) {
        const wire::ValueView &value = change.after[i];
        if (is_unchanged_toast(value)) {
            complete = complete && full;
        } else if (!full || !same_value(change.before[i], value)) {
            columns_[i] = 1;
            any = true;
        }
    }
    if (moves) {
        // A row that has the new key is not there, unless this was applied before. Deleting it (instead of UPDATE OR
        // REPLACE) lets triggers see it go.
        bool known = true;
        for (const size_t column : relation_->key) {
            known = known && is_known(change.after[column]);
        }
        if (known) {
            erase_row(change.after);
        }
    } else if (!full) {
        for (const size_t column : relation_->key) {
            columns_[column] = 0;  // it is what the row is found by
        }
        any = columns_.find('\1') != std::string::npos;
    }
    if (!any) {
        // Nothing to write, but the row must be there afterwards.
        if (complete && !full) {
            put(change.after);
            return;
        }
        for (size_t i = 0; i < change.after.size(); ++i) {
            columns_[i] = is_unchanged_toast(change.after[i]) ? 0 : 1;
        }
    }
    Statement &statement = update_statement(columns_);
    int number = 0;
    for (size_t i = 0; i < change.after.size(); ++i) {
        if (columns_[i] != 0) {
            bind_value(statement, ++number, i, change.after[i]);
        }
    }
    bind_condition(statement, old_row, number + 1);
    statement.run();
    if (database_.changes() != 0) {
        return;
    }
    // The row is not there, although it should be: made from what the change says, if that is all of it.
    if (!complete) {
        refuse("an update is about a row that is not there, and does not say all of it",
               "Run cdc_consumer resnapshot to copy the tables anew.");
    }
    Row row = change.after;
    for (size_t i = 0; i < row.size(); ++i) {
        if (is_unchanged_toast(row[i])) {
            row[i] = change.before[i];
        }
    }
    put(row);
}

void TableWriter::replace(const Change &change) {
    const Row row = whole_row(change);
    if (change.changes_key()) {
        erase_row(key_row(change));
    }
    put(row);
}

const Row &TableWriter::key_row(const Change &change) const {
    const Row *const row = relation_->identifies_rows() ? change.key_row() : nullptr;
    if (row == nullptr) {
        refuse(std::string(change.op == wire::Op::kUpdate ? "an update" : "a delete") +
                   " does not say which row it is about",
               kFullHint);
    }
    return *row;
}

void TableWriter::erase_row(const Row &key_row) {
    if (!erase_) {
        erase_ = database_.prepare("DELETE FROM " + table_ + " WHERE " + row_condition(1));
    }
    bind_condition(erase_, key_row, 1);
    erase_.run();
}

void TableWriter::truncate() {
    std::string sql = "DELETE FROM " + table_;
    if (relation_->is_partition()) {
        sql += " WHERE " + std::string(kPartitionColumn) + '=' + std::to_string(relation_->id);
    }
    database_.run(sql);
}

Statement &TableWriter::update_statement(const ColumnSet &columns) {
    if (last_update_ != nullptr && columns == last_columns_) {
        return *last_update_;
    }
    last_update_ = nullptr;
    auto found = updates_.find(columns);
    if (found == updates_.end()) {
        if (updates_.size() >= kMaxUpdates) {
            updates_.clear();
        }
        std::string sql;
        size_t number = 0;
        for (size_t i = 0; i < columns.size(); ++i) {
            if (columns[i] != 0) {
                sql += (sql.empty() ? "" : ",") + quote(relation_->columns[i].name) + '=' + parameter(++number);
            }
        }
        if (sql.empty()) {
            refuse("an update says nothing of the new row", kFullHint);
        }
        sql = "UPDATE " + table_ + " SET " + sql + " WHERE " + row_condition(number + 1);
        found = updates_.emplace(columns, database_.prepare(sql)).first;
    }
    last_columns_ = columns;
    last_update_ = &found->second;
    return *last_update_;
}

// By the key, or by the whole row: then it is one of those that are the same. (As a comparison of rows, which has no
// depth: hundreds of ANDs would be too many for SQLite.)
std::string TableWriter::row_condition(size_t first_parameter) const {
    const std::string partition =
        relation_->is_partition() ? " AND " + std::string(kPartitionColumn) + '=' + std::to_string(relation_->id) : "";
    std::string condition;
    for (const size_t column : relation_->key) {
        condition += (condition.empty() ? "" : " AND ") + quote(relation_->columns[column].name) + '=' +
                     parameter(first_parameter++);
    }
    if (!condition.empty()) {
        return condition + partition;
    }
    std::string names;
    std::string values;
    for (const Column &column : relation_->columns) {
        names += (names.empty() ? "" : ",") + quote(column.name);
        values += (values.empty() ? "" : ",") + parameter(first_parameter++);
    }
    const std::string same = names.empty() ? "true" : '(' + names + ") IS (" + values + ')';
    const std::string rowid = rowid_name(*relation_);
    return rowid + " = (SELECT " + rowid + " FROM " + table_ + " WHERE " + same + partition + " LIMIT 1)";
}

void TableWriter::bind_condition(Statement &statement, const Row &key_row, int parameter) {
    if (relation_->key.empty()) {
        for (size_t i = 0; i < key_row.size(); ++i) {
            bind_value(statement, parameter++, i, key_row[i]);
        }
    } else {
        for (const size_t column : relation_->key) {
            bind_value(statement, parameter++, column, key_row[column]);
        }
    }
}

void TableWriter::bind_value(Statement &statement, int parameter, size_t column, const wire::ValueView &value) {
    switch (value.kind) {
        case wire::value::boolean:
            statement.bind(parameter, int64_t{bool_of(value)});
            return;
        case wire::value::integer:
        case wire::value::oid:
            statement.bind(parameter, integer_of(value));
            return;
        case wire::value::float8:
        case wire::value::float4: {
            const double number = float8_of(value);
            if (std::isnan(number)) {
                statement.bind(parameter, "NaN");  // SQLite would make it NULL
            } else if (sqlite3_bind_double(statement.get(), parameter, number) != SQLITE_OK) {
                database_.fail();
            }
            return;
        }
        case wire::value::text:
        case wire::value::numeric:
        case wire::value::json:
        case wire::value::other_text:
            statement.bind(parameter, bytes_of(value));
            return;
        case wire::value::bytea:
        case wire::value::undecoded_text:
            statement.bind_blob(parameter, bytes_of(value));
            return;
        case wire::value::absent:
            if (value.absent == wire::Absent::kNull) {
                if (sqlite3_bind_null(statement.get(), parameter) != SQLITE_OK) {
                    database_.fail();
                }
                return;
            }
            refuse("column " + relation_->columns[column].name + ": a change does not have its value", kFullHint);
        case wire::value::too_large_bytes:
            refuse("column " + relation_->columns[column].name + ": a value of " +
                       std::to_string(value.payload.number_value) + " bytes was too large to be sent",
                   "Leave the table out of --tables, or make the value smaller.");
        default: {
            std::string &text = texts_[static_cast<size_t>(parameter)];
            text.clear();
            if (value.kind == wire::value::array) {
                append_json(text, value);
            } else {
                append_text(text, value);
            }
            statement.bind(parameter, text);
            return;
        }
    }
}

void TableWriter::refuse(const std::string &what, const char *hint) const {
    throw Failure("table " + relation_->table.text() + ": " + what, hint);
}

}  // namespace cdc::consumer

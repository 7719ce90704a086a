#include "postgres_rows.hpp"

#include "postgres_copy.hpp"
#include "sink.hpp"

#include "../model/value_text.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>
#include <utility>

namespace cdc::consumer {

namespace {

constexpr Oid kOidType = 26;
// Rows that one statement takes: one of these numbers, the largest that are there first.
constexpr std::array<size_t, 3> kRowsOfStatement = {64, 8, 1};
constexpr size_t kMaxHeldBytes = 256 * 1024;
// Tables with many columns and no key could need any number of them.
constexpr uint32_t kMaxStatements = 2000;
constexpr size_t kMaxParameters = 65535;  // of the protocol

// The same for equal bytes; rows of different keys may share one, which costs a statement and no more.
uint64_t hash_key(const Relation &relation, const Row &row) {
    uint64_t hash = 0;
    for (const size_t column : relation.key) {
        const wire::Field &payload = row[column].payload;
        const uint64_t value =
            payload.type == wire::kBytes ? std::hash<std::string_view>()(payload.bytes) : payload.number_value;
        hash = (hash ^ value) * 0x9E3779B97F4A7C15;
        hash ^= hash >> 32;
    }
    return hash;
}

bool all_known(const Row &row) {
    return std::all_of(row.begin(), row.end(), [](const wire::ValueView &value) { return is_known(value); });
}

}  // namespace

enum class PostgresRows::Verb : uint8_t { kUpdate = 'U', kUpsert = 'P', kDelete = 'D' };

// What there is to know about a copy to change its rows.
struct PostgresRows::Target {
    struct TargetColumn {
        std::string name;  // quoted
        Oid type = 0;
        BinaryForm form = BinaryForm::kNone;
        bool in_key = false;
    };

    const Relation *relation = nullptr;
    std::string table;  // quoted
    std::string name;   // for messages
    std::vector<TargetColumn> columns;
    size_t rows_at_once = 1;
    std::map<size_t, StatementPipeline::Statement> upserts;  // by number of rows
    std::unordered_map<std::string, StatementPipeline::Statement> statements;
};

PostgresRows::PostgresRows(Connection &connection, StatementPipeline &pipeline, PostgresSchema &schema)
    : pipeline_(pipeline), schema_(schema), server_version_(PQserverVersion(connection.get())) {}

PostgresRows::~PostgresRows() = default;

void PostgresRows::define(const Relation &relation) {
    const auto elsewhere = places_.find(relation.target());
    const TableName &table = elsewhere == places_.end() ? relation.target() : elsewhere->second;
    const auto copy = schema_.look_up(table);
    if (!copy) {
        throw Failure("the copy of " + relation.target().text() + " is gone",
                      "`cdc_consumer resnapshot` makes all copies anew.");
    }
    auto target = std::make_unique<Target>();
    target->relation = &relation;
    target->table = quoted(table);
    target->name = relation.target().text();
    for (const Column &column : relation.columns) {
        const CopyColumn *const there = copy->find(column.name);
        if (there == nullptr) {
            throw Failure("the copy of " + relation.target().text() + " has no column " + column.name,
                          "Something else has changed the copy; `cdc_consumer resnapshot` makes it anew.");
        }
        target->columns.push_back({quote_identifier(column.name), there->type_oid,
                                   binary_form(there->type_oid, there->is_enum, server_version_), false});
    }
    if (relation.is_partition() && copy->find(kPartitionColumn) == nullptr) {
        throw Failure("the copy of " + relation.target().text() + " has no column " + kPartitionColumn,
                      "Something else has changed the copy; `cdc_consumer resnapshot` makes it anew.");
    }
    for (const size_t column : relation.key) {
        target->columns[column].in_key = true;
    }
    const size_t parameters = target->columns.size() + (relation.is_partition() ? 1 : 0);
    for (const size_t rows : kRowsOfStatement) {
        if (rows * parameters <= kMaxParameters) {
            target->rows_at_once = rows;
            break;
        }
    }
    last_ = nullptr;
    targets_[relation.id] = std::move(target);
}

void PostgresRows::divert(std::map<TableName, TableName> places) {
    reset();
    places_ = std::move(places);
}

void PostgresRows::reset() {
    targets_.clear();
    last_ = nullptr;
    held_target_ = nullptr;
    held_rows_ = 0;
    held_.clear();
    held_keys_.clear();
}

PostgresRows::Target &PostgresRows::target_of(const Relation &relation) {
    if (last_ == nullptr || last_->relation != &relation) {
        auto found = targets_.find(relation.id);
        if (found == targets_.end() || found->second->relation != &relation) {
            flush();
            pipeline_.finish();
            define(relation);
            found = targets_.find(relation.id);
        }
        last_ = found->second.get();
    }
    return *last_;
}

void PostgresRows::apply(const Change &change) {
    if (pipeline_.statements() > kMaxStatements) {
        forget_statements();
    }
    Target &target = target_of(*change.relation);
    switch (change.op) {
        case wire::Op::kInsert:
        case wire::Op::kRead:
            upsert(target, change.after);
            break;
        case wire::Op::kUpdate:
            update(target, change);
            break;
        case wire::Op::kDelete:
            erase(target, change);
            break;
        case wire::Op::kUnspecified:
            throw CorruptStream("change of an unknown kind");
    }
}

void PostgresRows::forget_statements() {
    flush();
    pipeline_.finish();
    pipeline_.forget_statements();
    for (auto &[id, target] : targets_) {
        target->upserts.clear();
        target->statements.clear();
    }
}

// Adds a parameter for a known value.
void PostgresRows::add(Parameters &to, const Target &target, size_t column, const wire::ValueView &value) {
    if (is_null(value)) {
        to.null();
        return;
    }
    to.open();
    if (put_binary(to.buffer(), target.columns[column].form, value)) {
        to.close_binary();
        return;
    }
    text_.clear();
    append_text(text_, value, target.relation->columns[column].value_type());
    to.buffer().append(text_.data(), text_.size());
    to.close_text();
}

void PostgresRows::add_partition(Parameters &to, const Target &target) {
    to.open();
    put_int32(to.buffer(), static_cast<int32_t>(target.relation->id));
    to.close_binary();
}

// Holds the row back, to go with others.
void PostgresRows::upsert(Target &target, const Row &row) {
    const Relation &relation = *target.relation;
    for (size_t i = 0; i < row.size(); ++i) {
        require_value(relation, i, row[i]);
    }
    if (target.columns.empty() && !relation.is_partition()) {
        flush();
        shape_ = "E";
        auto [found, is_new] = target.statements.try_emplace(shape_, 0);
        if (is_new) {
            found->second = pipeline_.prepare("INSERT INTO " + target.table + " DEFAULT VALUES", {});
        }
        parameters_.clear();
        pipeline_.run(found->second, parameters_, 0, 0);
        return;
    }
    const bool keyed = !relation.key.empty();
    const uint64_t hash = keyed ? hash_key(relation, row) : 0;
    if (held_target_ != &target || held_.bytes() > kMaxHeldBytes ||
        (keyed && std::find(held_keys_.begin(), held_keys_.end(), hash) != held_keys_.end())) {
        flush();
        held_target_ = &target;
    }
    for (size_t i = 0; i < row.size(); ++i) {
        add(held_, target, i, row[i]);
    }
    if (relation.is_partition()) {
        add_partition(held_, target);
    }
    held_keys_.push_back(hash);
    if (++held_rows_ == target.rows_at_once) {
        flush();
    }
}

void PostgresRows::flush() {
    if (held_rows_ == 0) {
        return;
    }
    const size_t parameters = held_.size() / held_rows_;
    size_t row = 0;
    for (const size_t rows : kRowsOfStatement) {
        for (; held_rows_ - row >= rows && rows <= held_target_->rows_at_once; row += rows) {
            pipeline_.run(upsert_statement(*held_target_, rows), held_, row * parameters, rows * parameters);
        }
    }
    held_rows_ = 0;
    held_.clear();
    held_keys_.clear();
}

StatementPipeline::Statement PostgresRows::upsert_statement(Target &target, size_t rows) {
    const auto found = target.upserts.find(rows);
    if (found != target.upserts.end()) {
        return found->second;
    }
    std::string names;
    std::string updates;
    std::vector<Oid> types;
    for (const Target::TargetColumn &column : target.columns) {
        names += (names.empty() ? "" : ", ") + column.name;
        types.push_back(column.type);
        if (!column.in_key) {
            updates += (updates.empty() ? "" : ", ") + column.name + " = EXCLUDED." + column.name;
        }
    }
    if (target.relation->is_partition()) {
        names += (names.empty() ? "" : ", ") + quote_identifier(kPartitionColumn);
        types.push_back(kOidType);
    }
    const size_t width = types.size();
    std::string sql = "INSERT INTO " + target.table + " (" + names + ") VALUES ";
    for (size_t i = 0; i < rows * width; ++i) {
        sql += (i == 0 ? "($" : i % width == 0 ? "), ($" : ", $") + std::to_string(i + 1);
        if (i >= width) {
            types.push_back(types[i - width]);
        }
    }
    sql += ')';
    if (!target.relation->key.empty()) {
        sql += " ON CONFLICT (" + quoted_list(PostgresSchema::key_of(*target.relation)) + ") DO " +
               (updates.empty() ? "NOTHING" : "UPDATE SET " + updates);
    }
    const StatementPipeline::Statement statement = pipeline_.prepare(sql, types);
    target.upserts.emplace(rows, statement);
    return statement;
}

void PostgresRows::update(Target &target, const Change &change) {
    const Relation &relation = *target.relation;
    const Row *const key = target.relation->identifies_rows() ? change.key_row() : nullptr;
    if (key == nullptr) {
        throw Failure("an update of " + relation.table.text() + " does not say which row it is about",
                      "Give the table a primary key, or ALTER TABLE ... REPLICA IDENTITY FULL, and copy anew.");
    }
    // What the update has left as it was may be in the old row.
    completed_ = places_.empty() || relation.key.empty() ? change.after : whole_row(change);
    if (change.before_kind == wire::Before::kFull) {
        for (size_t i = 0; i < completed_.size(); ++i) {
            if (is_unchanged_toast(completed_[i])) {
                completed_[i] = change.before[i];
            }
        }
    }
    for (size_t i = 0; i < completed_.size(); ++i) {
        if (!is_unchanged_toast(completed_[i])) {
            require_value(relation, i, completed_[i]);
        }
    }
    const bool is_whole = all_known(completed_);
    if (relation.key.empty()) {
        flush();
        change_by_row(target, is_whole ? Verb::kUpsert : Verb::kUpdate, &completed_, *key);
    } else if (!is_whole) {
        flush();
        change_by_key(target, Verb::kUpdate, &completed_, *key);
    } else {
        if (change.changes_key()) {
            flush();
            change_by_key(target, Verb::kDelete, nullptr, *key);
        }
        upsert(target, completed_);
    }
}

void PostgresRows::erase(Target &target, const Change &change) {
    const Row *const key = target.relation->identifies_rows() ? change.key_row() : nullptr;
    if (key == nullptr) {
        throw Failure("a delete from " + target.relation->table.text() + " does not say which row it is about",
                      "Give the table a primary key, or ALTER TABLE ... REPLICA IDENTITY FULL, and copy anew.");
    }
    flush();
    if (target.relation->key.empty()) {
        change_by_row(target, Verb::kDelete, nullptr, *key);
    } else {
        change_by_key(target, Verb::kDelete, nullptr, *key);
    }
}

// UPDATE of the known columns, or DELETE, of the row with the key.
void PostgresRows::change_by_key(Target &target, Verb verb, const Row *values, const Row &key) {
    const Relation &relation = *target.relation;
    parameters_.clear();
    shape_.assign(1, static_cast<char>(verb));
    if (verb == Verb::kUpdate) {
        for (size_t i = 0; i < values->size(); ++i) {
            const bool known = is_known((*values)[i]);
            shape_ += known ? '1' : '0';
            if (known) {
                add(parameters_, target, i, (*values)[i]);
            }
        }
        if (parameters_.size() == 0) {
            return;
        }
    }
    for (const size_t column : relation.key) {
        require_value(relation, column, key[column]);
        add(parameters_, target, column, key[column]);
    }
    if (relation.is_partition()) {
        add_partition(parameters_, target);
    }

    auto [found, is_new] = target.statements.try_emplace(shape_, 0);
    if (is_new) {
        std::string sql;
        std::vector<Oid> types;
        const auto next = [&](Oid type) {
            types.push_back(type);
            return " = $" + std::to_string(types.size());
        };
        if (verb == Verb::kUpdate) {
            for (size_t i = 0; i < values->size(); ++i) {
                if (is_known((*values)[i])) {
                    sql += (sql.empty() ? "UPDATE " + target.table + " SET " : ", ") + target.columns[i].name +
                           next(target.columns[i].type);
                }
            }
        } else {
            sql = "DELETE FROM " + target.table;
        }
        const char *word = " WHERE ";
        for (const size_t column : relation.key) {
            sql += word + target.columns[column].name + next(target.columns[column].type);
            word = " AND ";
        }
        if (relation.is_partition()) {
            sql += word + quote_identifier(kPartitionColumn) + next(kOidType);
        }
        found->second = pipeline_.prepare(sql, types);
    }
    pipeline_.run(found->second, parameters_, 0, parameters_.size(), verb == Verb::kUpdate ? &target.name : nullptr);
}

// The same for one row that equals the old one. An upsert inserts the new row if there is none such.
void PostgresRows::change_by_row(Target &target, Verb verb, const Row *values, const Row &old) {
    const Relation &relation = *target.relation;
    parameters_.clear();
    shape_.assign(1, static_cast<char>(verb));
    if (values != nullptr) {
        for (size_t i = 0; i < values->size(); ++i) {
            const bool known = is_known((*values)[i]);
            shape_ += known ? '1' : '0';
            if (known) {
                add(parameters_, target, i, (*values)[i]);
            }
        }
    }
    shape_ += '/';
    const bool has_values = parameters_.size() != 0;
    for (size_t i = 0; i < old.size(); ++i) {
        const bool known = is_known(old[i]);
        shape_ += !known ? '?' : is_null(old[i]) ? '0' : '1';
        if (known && !is_null(old[i])) {
            add(parameters_, target, i, old[i]);
        }
    }
    if (relation.is_partition()) {
        add_partition(parameters_, target);
    }
    if (verb != Verb::kDelete && !has_values) {
        return;
    }

    auto [found, is_new] = target.statements.try_emplace(shape_, 0);
    if (is_new) {
        std::vector<Oid> types;
        std::string names;
        std::string placeholders;
        std::string assignments;
        const auto next = [&](Oid type) {
            types.push_back(type);
            return '$' + std::to_string(types.size());
        };
        for (size_t i = 0; values != nullptr && i < values->size(); ++i) {
            if (is_known((*values)[i])) {
                const std::string placeholder = next(target.columns[i].type);
                const char *const comma = names.empty() ? "" : ", ";
                names += comma + target.columns[i].name;
                placeholders += comma + placeholder;
                assignments += comma + target.columns[i].name + " = " + placeholder;
            }
        }
        std::string condition;
        const auto require = [&](const std::string &what) {
            condition += (condition.empty() ? " WHERE " : " AND ") + what;
        };
        for (size_t i = 0; i < old.size(); ++i) {
            const Target::TargetColumn &column = target.columns[i];
            if (is_null(old[i])) {
                require(column.name + " IS NULL");
            } else if (is_known(old[i])) {
                const std::string placeholder = next(column.type);
                require(comparable(column.name, column.type) + " = " + comparable(placeholder, column.type));
            }
        }
        if (relation.is_partition()) {
            const std::string placeholder = next(kOidType);
            require(quote_identifier(kPartitionColumn) + " = " + placeholder);
            names += ", " + quote_identifier(kPartitionColumn);
            placeholders += ", " + placeholder;
        }
        const std::string where = " WHERE ctid = (SELECT ctid FROM " + target.table + condition + " LIMIT 1)";
        std::string sql;
        switch (verb) {
            case Verb::kDelete:
                sql = "DELETE FROM " + target.table + where;
                break;
            case Verb::kUpdate:
                sql = "UPDATE " + target.table + " SET " + assignments + where;
                break;
            case Verb::kUpsert:
                sql = "WITH updated AS (UPDATE " + target.table + " SET " + assignments + where +
                      " RETURNING 1) INSERT INTO " + target.table + " (" + names + ") SELECT " + placeholders +
                      " WHERE NOT EXISTS (SELECT FROM updated)";
                break;
        }
        found->second = pipeline_.prepare(sql, types);
    }
    pipeline_.run(found->second, parameters_, 0, parameters_.size(), verb == Verb::kUpdate ? &target.name : nullptr);
}

// By DELETE: TRUNCATE would lock out readers, and show an empty table to those with an older snapshot.
void PostgresRows::truncate(const Relation &relation) {
    Target &target = target_of(relation);
    flush();
    std::string sql = "DELETE FROM " + target.table;
    if (relation.is_partition()) {
        sql += " WHERE " + quote_identifier(kPartitionColumn) + " = " + std::to_string(relation.id);
    }
    pipeline_.run(sql.c_str());
}

}  // namespace cdc::consumer

// Rows of one relation into a table of an SQLite file: the statements, made once and kept, and their values.
#pragma once

#include "sqlite_database.hpp"

#include "../model/row.hpp"

#include <map>
#include <string>
#include <vector>

namespace cdc::consumer {

class TableWriter {
 public:
    // Rows go into `table`, whose shape is the one that the relation wants. `relation` must outlive this.
    TableWriter(Database &database, const Relation &relation, const std::string &table);

    const Relation &relation() const { return *relation_; }

    // A row that may be there already.
    void put(const Row &row);
    void update(const Change &change);
    // The same for a table with a key in a copy that is brought up to date: see whole_row().
    void replace(const Change &change);
    // The row may be gone already.
    void erase(const Change &change) { erase_row(key_row(change)); }
    void truncate();

 private:
    // Columns that an UPDATE sets: a byte for each column, 1 or 0.
    using ColumnSet = std::string;

    // Throws Failure if the change does not say which row it is about.
    const Row &key_row(const Change &change) const;
    void erase_row(const Row &key_row);
    Statement &update_statement(const ColumnSet &columns);
    std::string row_condition(size_t first_parameter) const;
    void bind_condition(Statement &statement, const Row &key_row, int parameter);
    void bind_value(Statement &statement, int parameter, size_t column, const wire::ValueView &value);
    [[noreturn]] void refuse(const std::string &what, const char *hint) const;

    Database &database_;
    const Relation *relation_;
    std::string table_;  // quoted
    Statement put_;
    Statement erase_;
    std::map<ColumnSet, Statement> updates_;
    ColumnSet columns_;       // of the update at hand: kept for its memory
    ColumnSet last_columns_;  // those of the update before: mostly the same ones
    Statement *last_update_ = nullptr;
    std::vector<std::string> texts_;  // by parameter: values that do not stand in the batch as SQLite gets them
};

}  // namespace cdc::consumer

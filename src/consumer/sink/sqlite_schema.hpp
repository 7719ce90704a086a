// The tables that copies of relations are kept in, and how they follow changed definitions.
#pragma once

#include "sqlite_database.hpp"

#include "../model/evolution.hpp"
#include "../model/relation.hpp"

#include <string>
#include <vector>

namespace cdc::consumer {

// The table of a target: orders for public.orders, sales_orders for sales.orders.
std::string sqlite_table_name(const TableName &target);
inline std::string sqlite_table_name(const Relation &relation) {
    return sqlite_table_name(relation.target());
}
// The table that a snapshot fills.
std::string sqlite_stage_name(const std::string &table);

// A name of the number that SQLite gives to each row of a table without a key: one that no column has.
std::string rowid_name(const Relation &relation);

// What matters of a table's definition.
struct TableShape {
    struct Column {
        std::string name;
        std::string type;
        bool operator==(const Column &other) const { return name == other.name && type == other.type; }
        bool operator<(const Column &other) const { return name < other.name; }
    };
    std::vector<Column> columns;
    std::vector<std::string> key;

    // The order of columns may differ.
    bool operator==(const TableShape &other) const;
    bool has(const std::string &column) const;
    std::string column_list() const;  // "a","b"
};

TableShape wanted_shape(const Relation &relation);
// Without columns if there is no such table.
TableShape read_table_shape(Database &database, const std::string &table);

void create_table(Database &database, const std::string &table, const TableShape &shape);
// An index by which rows of a table without a key are found.
void create_row_index(Database &database, const std::string &table, const Relation &relation);
void drop_row_index(Database &database, const std::string &table);
// ALTER TABLE ... RENAME TO that leaves views and triggers as they are.
void rename_table(Database &database, const std::string &from, const std::string &to);
// Puts the rows of `stage`, which has the wanted shape, in the place of `table` and of its rows. Indexes and triggers
// on it are made again, and triggers see the rows go and come.
void replace_table(Database &database, const std::string &table, const std::string &stage, const TableShape &shape);

// Takes the copy from one definition to the next. Steps that are done already (for another partition) are left out.
void evolve_table(Database &database, const Relation &previous, const Relation &relation, const Evolution &evolution);

}  // namespace cdc::consumer

// Definitions of the copies in a PostgreSQL database: made, looked up, and changed as the source's definitions change.
#pragma once

#include "../postgres/connection.hpp"

#include "../model/evolution.hpp"
#include "../model/relation.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cdc::consumer {

struct CopyColumn {
    std::string name;
    uint32_t type_oid = 0;
    std::string type;  // as SQL spells it
    bool is_enum = false;
};

// A table of the target database, as its catalogs tell it.
struct CopyTable {
    std::vector<CopyColumn> columns;
    std::vector<std::string> key;  // the primary key's columns, in its order
    std::string key_constraint;    // its name

    const CopyColumn *find(const std::string &column) const;
};

std::string quoted(const TableName &table);
std::string quoted_list(const std::vector<std::string> &names);  // "a", "b"

// Whether equal values of a type are the same value. Others are compared as text: 1.0 = 1.00, and json has no =.
bool is_exact_type(uint32_t type_oid);
// `expression` in a form in which equal means the same.
std::string comparable(const std::string &expression, uint32_t type_oid);

class PostgresSchema {
 public:
    explicit PostgresSchema(Connection &connection) : connection_(connection) {}

    std::optional<CopyTable> look_up(const TableName &table);
    void create_schema(const std::string &schema);
    // A table, without keys, for the rows of a relation.
    void create_table(const TableName &table, const Relation &relation);
    // The columns of the copy's primary key; a partition's rows are only told apart within it.
    static std::vector<std::string> key_of(const Relation &relation);
    // Gives the copy this primary key (none: an index to find whole rows by), unless it has it.
    void set_key(const TableName &table, const Relation &relation);

    // Does the steps, except those that another partition of the same copy has brought.
    void evolve(const Relation &relation, const Relation &previous, const Evolution &evolution);
    // Makes the columns of the copy those of the relation: by name, since no history is known. Columns in
    // `superfluous` are dropped unless the relation has them.
    void fit(const TableName &table, const Relation &relation, const std::vector<std::string> &superfluous);

    void move(const TableName &from, const TableName &to);

 private:
    std::string type_of(const Column &column);
    bool is_same_type(const CopyColumn &column, const std::string &type);
    void take_step(const SchemaStep &step, const Relation &relation, const TableName &table);
    void fill(const SchemaStep &step, const Relation &relation, const TableName &table, bool whole_table);
    void alter(const TableName &table, const std::string &what);

    Connection &connection_;
    std::map<std::pair<uint32_t, std::string>, std::string> types_;  // by OID and spelling at the source
};

}  // namespace cdc::consumer

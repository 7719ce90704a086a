// Copies in the making, in tables of their own, and how they become the ones that readers see.
#pragma once

#include "postgres_schema.hpp"
#include "postgres_state.hpp"
#include "sink.hpp"

#include "../postgres/connection.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace cdc::consumer {

class PostgresSnapshot {
 public:
    PostgresSnapshot(Connection &connection, PostgresSchema &schema, PostgresState &state, std::string conninfo)
        : connection_(connection), schema_(schema), state_(state), conninfo_(std::move(conninfo)) {}

    // Inside a transaction.
    void begin(const std::string &slot, const std::vector<Relation> &relations);
    // Takes up what begin() and writers have left in another run.
    void resume(const std::string &slot);
    // From any thread.
    std::unique_ptr<SnapshotWriter> open_writer(const Relation &relation) const;
    // Removes rows that came in two parts of a table, as of two moments. Outside of a transaction.
    void remove_doubles();
    // Builds keys: what can be done before the transaction that swap() is to be in.
    void build_keys();
    void prepare_swap();
    void swap(const std::string &slot);

    // The definitions that the copy in the making follows, and where its rows are.
    std::vector<Relation> relations() const;
    std::map<TableName, TableName> places() const;

 private:
    struct Stage {
        TableName table;
        std::vector<Relation> relations;  // more than one: partitions
        CopyTable definition;
    };

    // Throws Failure if the table that rows are to go into is not this slot's.
    void check_owner(const std::string &slot, const TableName &target);
    void bring_over(const TableName &target, const Stage &stage, const std::vector<std::string> &known_columns);

    Connection &connection_;
    PostgresSchema &schema_;
    PostgresState &state_;
    const std::string conninfo_;
    std::string slot_;
    std::map<TableName, Stage> stages_;  // by target
};

}  // namespace cdc::consumer

// What the sink remembers in the target database: tables of the schema cdc_consumer.
#pragma once

#include "sink.hpp"

#include "../postgres/connection.hpp"

#include <optional>
#include <string>
#include <vector>

namespace cdc::consumer {

constexpr char kStateSchema[] = "cdc_consumer";

class PostgresState {
 public:
    explicit PostgresState(Connection &connection) : connection_(connection) {}

    // Whether the tables are there. Throws Failure if they are of a later version.
    bool exists();
    void create();  // unless they are there

    std::vector<SinkState> states();
    void save(const SinkState &state);
    // The same as a statement with parameters: slot, system identifier, database, tables, phase, position.
    static const char *save_statement();
    static std::vector<std::string> save_parameters(const SinkState &state);

    std::vector<Relation> relations(const std::string &slot);
    void save_relation(const std::string &slot, const Relation &relation);
    void forget_relations(const std::string &slot);
    // The slot whose changes go to a table; nullopt if the table is none of ours.
    std::optional<std::string> owner(const TableName &target);

    std::optional<std::string> init_sql(const std::string &slot);
    void save_init_sql(const std::string &slot, const std::string &sql);

    // Tables that a snapshot fills, by name: kept here so that what an interrupted one has left is found.
    std::string add_stage(const std::string &slot);
    std::vector<std::string> stages(const std::string &slot);
    // What is noted of a copy in the making: the relations with the stage of each, and what is complete.
    struct StagedRelation {
        std::string stage;
        Relation relation;
    };
    void create_copy_tables();  // unless they are there: earlier versions of this program did not make them
    void save_copy_relation(const std::string &slot, const std::string &stage, const Relation &relation);
    std::vector<StagedRelation> copy_relations(const std::string &slot);
    std::vector<CopiedRange> copied(const std::string &slot);
    // Notes a range on another connection than that of this object, whose open transaction this becomes a part of.
    static void save_copied(Connection &connection, const std::string &slot, const CopiedRange &range);
    // Both of these, and the stages' names.
    void forget_copy(const std::string &slot);

 private:
    bool has_copy_tables();

    Connection &connection_;
    bool exists_ = false;
};

}  // namespace cdc::consumer

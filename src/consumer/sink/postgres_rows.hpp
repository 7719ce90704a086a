// Changes of rows, applied to the copies through a pipeline of prepared statements.
#pragma once

#include "postgres_pipeline.hpp"
#include "postgres_schema.hpp"
#include "postgres_value.hpp"

#include "../model/row.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace cdc::consumer {

class PostgresRows {
 public:
    PostgresRows(Connection &connection, StatementPipeline &pipeline, PostgresSchema &schema);
    ~PostgresRows();

    // Looks up the copy that the relation's rows go to. Throws Failure if it does not fit.
    void define(const Relation &relation);
    // Forgets all that was looked up and prepared.
    void reset();
    // Rows go into these tables instead of the targets: copies that are brought up to date, see whole_row(). Without
    // any: into the targets.
    void divert(std::map<TableName, TableName> places);

    void apply(const Change &change);
    void truncate(const Relation &relation);
    // Sends the rows that are held back to go together.
    void flush();

 private:
    struct Target;
    enum class Verb : uint8_t;

    Target &target_of(const Relation &relation);
    void upsert(Target &target, const Row &row);
    void update(Target &target, const Change &change);
    void erase(Target &target, const Change &change);
    void change_by_key(Target &target, Verb verb, const Row *values, const Row &key);
    void change_by_row(Target &target, Verb verb, const Row *values, const Row &old);
    void add(Parameters &to, const Target &target, size_t column, const wire::ValueView &value);
    void add_partition(Parameters &to, const Target &target);
    void forget_statements();
    StatementPipeline::Statement upsert_statement(Target &target, size_t rows);

    StatementPipeline &pipeline_;
    PostgresSchema &schema_;
    const int server_version_;
    std::map<TableName, TableName> places_;  // of targets that are elsewhere
    std::unordered_map<uint32_t, std::unique_ptr<Target>> targets_;
    Target *last_ = nullptr;

    // Upserts of one table that may go in one statement: no two of the same key.
    Target *held_target_ = nullptr;
    size_t held_rows_ = 0;
    Parameters held_;
    std::vector<uint64_t> held_keys_;  // hashes

    Parameters parameters_;
    std::string text_;   // of one value
    std::string shape_;  // what tells statements of one table apart
    Row completed_;
};

}  // namespace cdc::consumer

// The tables in which an SQLite sink keeps what it knows: the state of each slot, the definitions that the copies
// follow, and a few properties of the file.
#pragma once

#include "sink.hpp"
#include "sqlite_database.hpp"

#include <string>
#include <vector>

namespace cdc::consumer {

class SqliteState {
 public:
    // Throws Failure if a later version of this program has made the tables. Changes nothing.
    explicit SqliteState(Database &database);

    // Makes the file ready to be written to. Before any of the calls below that write.
    void prepare();

    std::vector<SinkState> states();
    std::vector<Relation> relations(const std::string &slot);
    bool has_relations(const std::string &slot);
    // Whether the copy follows this very definition.
    bool follows(const std::string &slot, const Relation &relation);

    void save(const SinkState &state);
    void save_relation(const std::string &slot, const Relation &relation);
    void forget_relations(const std::string &slot);

    // What is noted of a copy in the making; saved as a part of the open transaction.
    CopyProgress copy_progress(const std::string &slot);
    void save_copy_relation(const std::string &slot, const Relation &relation);
    void save_copied(const std::string &slot, const CopiedRange &range);
    void forget_copy(const std::string &slot);

    // Throws Failure if the relation's rows must not go into the table that they should go into: it belongs to
    // something else. Otherwise returns whether the table is there.
    bool check_owner(const std::string &slot, const Relation &relation);

    // The text of the last init-sql that ran.
    std::string init_sql();
    void save_init_sql(const std::string &text);

 private:
    bool has_table(const std::string &name);

    Database &database_;
    bool ready_ = false;  // the tables are there
    Statement save_;
};

}  // namespace cdc::consumer

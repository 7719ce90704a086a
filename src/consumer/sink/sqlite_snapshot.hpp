// A copy in the making: tables beside those that readers see, filled by several threads over one connection, and their
// way into the place of the old ones.
#pragma once

#include "sink.hpp"
#include "sqlite_database.hpp"
#include "sqlite_state.hpp"

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace cdc::consumer {

class SqliteSnapshot {
 public:
    // `mutex` guards the database.
    SqliteSnapshot(Database &database, SqliteState &state, std::mutex &mutex)
        : database_(database), state_(state), mutex_(mutex) {}

    // The calls of Sink; finish() runs inside of a transaction of the caller, who holds the mutex.
    void begin(const SinkState &state, const std::vector<Relation> &relations);
    void resume(const std::string &slot);
    std::unique_ptr<SnapshotWriter> open_writer(const Relation &relation);
    void begin_catch_up();
    void finish(const std::string &slot);

    // The definitions that the copy in the making follows.
    const std::vector<Relation> &relations() const { return relations_; }

    // Ends the transaction that rows are written in, so that another may begin. The caller holds the mutex.
    void commit_rows();

 private:
    class Writer;

    // All writers write in one transaction, which SQLite rolls back itself when the disk is full: whoever comes next
    // must not take a new one for it, since the rows that it wrote are gone.
    void enter_transaction();
    // Rolls back what is left of a transaction that SQLite has given up, or of a copy that failed.
    void leave_rows();
    template <typename Do>
    void in_transaction(Do action);
    void swap(const Relation &relation);

    Database &database_;
    SqliteState &state_;
    std::mutex &mutex_;
    std::string slot_;
    std::vector<Relation> relations_;
    bool open_ = false;     // a transaction with rows
    bool broken_ = false;   // one failed: no other may follow in this copy
    size_t bytes_ = 0;      // of batches in the open transaction
    bool spoiled_ = false;  // rows that must not count could not be taken back
};

}  // namespace cdc::consumer

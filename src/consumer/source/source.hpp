// The source server as the consumer needs it: what is wrong with it, its tables, and its slot.
#pragma once

#include "../postgres/connection.hpp"

#include "../model/lsn.hpp"
#include "../model/relation.hpp"

#include <atomic>
#include <optional>
#include <string>
#include <vector>

namespace cdc::consumer {

struct SlotInfo {
    bool active = false;
    int active_pid = 0;
    std::string plugin;
    std::string database;
    std::string wal_status;  // reserved, extended, unreserved, lost
    Lsn restart_lsn = 0;
    Lsn confirmed_flush_lsn = 0;
};

struct SourceTable {
    uint32_t id = 0;
    TableName table;
    uint32_t root_id = 0;  // of a partition: its topmost ancestor; otherwise 0
    TableName root;
    int64_t blocks = 0;  // size of the main fork
    int64_t rows_estimate = 0;
};

// A slot that was just made, and the snapshot that it starts from. The snapshot is there as long as this object.
class NewSlot {
 public:
    NewSlot(Connection connection, std::string snapshot, Lsn consistent_point)
        : connection_(std::move(connection)), snapshot_(std::move(snapshot)), consistent_point_(consistent_point) {}

    const std::string &snapshot() const { return snapshot_; }  // for SET TRANSACTION SNAPSHOT
    Lsn consistent_point() const { return consistent_point_; }

 private:
    Connection connection_;
    std::string snapshot_;
    Lsn consistent_point_;
};

// A snapshot that other connections can take. It is there as long as this object.
class ExportedSnapshot {
 public:
    ExportedSnapshot(Connection connection, std::string name)
        : connection_(std::move(connection)), name_(std::move(name)) {}

    const std::string &name() const { return name_; }  // for SET TRANSACTION SNAPSHOT

 private:
    Connection connection_;
    std::string name_;
};

class Source {
 public:
    // When `stop` becomes true, what waits for the server ends with Interrupted.
    explicit Source(const std::string &conninfo, const std::atomic<bool> *stop = nullptr);

    const std::string &conninfo() const { return conninfo_; }
    const std::string &system_identifier() const { return system_identifier_; }
    const std::string &database() const { return database_; }

    // Throws Failure, with a hint, if this server cannot be captured from: wal_level, the plugin not installed or not
    // in output_plugin_libraries, the extension not created or too old, no REPLICATION attribute.
    void check_server();

    // Tables that the patterns select (those of the plugin's option `tables`; ordinary tables and leaf partitions,
    // whose ancestors count, too). Throws Failure if a pattern without * selects none, if a table cannot be read, or
    // if one has no usable replica identity.
    std::vector<SourceTable> tables(const std::string &patterns, const std::string &exclude_patterns);

    // As of the open transaction's snapshot.
    Relation definition(const SourceTable &table);

    std::optional<SlotInfo> slot(const std::string &name);
    // Waits for all transactions that are open. Throws Failure if there is no free slot, or the name is taken, and
    // Interrupted when `stop` becomes true; then there is no slot.
    NewSlot create_slot(const std::string &name, const std::atomic<bool> &stop);
    ExportedSnapshot export_snapshot();
    // Waits a short while for a walsender that is about to go. Throws Failure if the slot stays active.
    void drop_slot(const std::string &name);

    // Behind everything that was committed when it is called.
    Lsn current_lsn();
    // The same, for a stream to get there even if nothing else happens: nothing is streamed before it is flushed, and
    // what no commit waits for, such as the pruning of pages, may not be for long. A heartbeat message has it flushed.
    // All before it is flushed when this returns, so that no crash of the source takes it back. (In recovery, it is not
    // waited for.) Throws Interrupted.
    Lsn target_lsn();
    // The value that rows from before an ADD COLUMN have in it. `known` is false if that cannot be told (the rows were
    // rewritten, or may have been); text and json are absent for NULL.
    struct MissingValue {
        bool known = false;
        std::optional<std::string> text;
        std::optional<std::string> json;
    };
    MissingValue missing_value(uint32_t relation_id, uint32_t attribute_number);

    Connection &connection() { return connection_; }

 private:
    void ask_for_flush();

    std::string conninfo_;
    const std::atomic<bool> *stop_;
    Connection connection_;
    std::string system_identifier_;
    std::string database_;
};

// The file that a table's rows are in: another one behind TRUNCATE, VACUUM FULL and whatever else writes all of them
// anew. 0 if the table is gone.
uint32_t filenode_of(Connection &connection, uint32_t relation_id);

}  // namespace cdc::consumer

#include "sqlite_state.hpp"

#include "sqlite_schema.hpp"

#include <sqlite3.h>

namespace cdc::consumer {

namespace {

constexpr int64_t kVersion = 1;

const char *phase_word(Phase phase) {
    return phase == Phase::kStreaming ? "streaming" : "snapshot";
}

}  // namespace

SqliteState::SqliteState(Database &database) : database_(database), ready_(has_table("cdc_properties")) {
    if (!ready_) {
        return;
    }
    Statement version = database_.prepare("SELECT value FROM cdc_properties WHERE name = 'version'");
    if (version.step() && version.integer(0) > kVersion) {
        throw Failure("SQLite file " + database_.file() + " was written by a later version of cdc_consumer",
                      "Use that version, or name another file.");
    }
}

bool SqliteState::has_table(const std::string &name) {
    Statement query =
        database_.prepare("SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE");
    query.bind(1, name);
    return query.step();
}

void SqliteState::prepare() {
    if (save_) {
        return;
    }
    database_.enable_wal();
    if (!ready_) {
        database_.run(
            "BEGIN IMMEDIATE;"
            "CREATE TABLE IF NOT EXISTS cdc_properties (name TEXT PRIMARY KEY, value);"
            "CREATE TABLE IF NOT EXISTS cdc_state (slot TEXT PRIMARY KEY, system_identifier TEXT, database TEXT,"
            " tables TEXT, phase TEXT, position TEXT, updated_at TEXT);"
            "CREATE TABLE IF NOT EXISTS cdc_relations (slot TEXT, relation_id INTEGER, target TEXT, message BLOB,"
            " PRIMARY KEY (slot, relation_id));"
            "INSERT OR IGNORE INTO cdc_properties VALUES ('version', " +
            std::to_string(kVersion) + "); COMMIT");
        ready_ = true;
    }
    // Earlier versions of this program did not make these.
    database_.run(
        "CREATE TABLE IF NOT EXISTS cdc_copy_relations (slot TEXT, relation_id INTEGER, message BLOB,"
        " PRIMARY KEY (slot, relation_id));"
        "CREATE TABLE IF NOT EXISTS cdc_copied (slot TEXT, relation_id INTEGER, filenode INTEGER, first_block INTEGER,"
        " end_block INTEGER)");
    save_ = database_.prepare(
        "INSERT OR REPLACE INTO cdc_state VALUES (?1, ?2, ?3, ?4, ?5, ?6, strftime('%Y-%m-%dT%H:%M:%fZ'))");
}

std::vector<SinkState> SqliteState::states() {
    std::vector<SinkState> states;
    if (!ready_) {
        return states;
    }
    Statement query =
        database_.prepare("SELECT slot, system_identifier, database, tables, phase, position FROM cdc_state");
    while (query.step()) {
        SinkState state;
        state.slot = query.text(0);
        state.system_identifier = query.text(1);
        state.database = query.text(2);
        state.tables = query.text(3);
        state.phase = query.text(4) == phase_word(Phase::kStreaming) ? Phase::kStreaming : Phase::kSnapshot;
        const std::optional<Lsn> position = parse_lsn(query.text(5));
        if (!position) {
            throw Failure("SQLite file " + database_.file() + ": table cdc_state has the position '" + query.text(5) +
                          "', which is none");
        }
        state.position = *position;
        states.push_back(std::move(state));
    }
    return states;
}

std::vector<Relation> SqliteState::relations(const std::string &slot) {
    std::vector<Relation> relations;
    if (!ready_) {
        return relations;
    }
    Statement query = database_.prepare("SELECT message FROM cdc_relations WHERE slot = ?1 ORDER BY relation_id");
    query.bind(1, slot);
    while (query.step()) {
        relations.push_back(parse_relation(query.blob(0)));
    }
    return relations;
}

bool SqliteState::has_relations(const std::string &slot) {
    Statement query = database_.prepare("SELECT 1 FROM cdc_relations WHERE slot = ?1");
    query.bind(1, slot);
    return query.step();
}

bool SqliteState::follows(const std::string &slot, const Relation &relation) {
    Statement query = database_.prepare("SELECT message FROM cdc_relations WHERE slot = ?1 AND relation_id = ?2");
    query.bind(1, slot).bind(2, int64_t{relation.id});
    return query.step() && query.blob(0) == relation.message;
}

void SqliteState::save(const SinkState &state) {
    const std::string position = lsn_text(state.position);
    save_.bind(1, state.slot).bind(2, state.system_identifier).bind(3, state.database).bind(4, state.tables);
    save_.bind(5, phase_word(state.phase)).bind(6, position);
    save_.run();
}

void SqliteState::save_relation(const std::string &slot, const Relation &relation) {
    Statement save = database_.prepare("INSERT OR REPLACE INTO cdc_relations VALUES (?1, ?2, ?3, ?4)");
    const std::string table = sqlite_table_name(relation);
    save.bind(1, slot).bind(2, int64_t{relation.id}).bind(3, table).bind_blob(4, relation.message);
    save.run();
}

void SqliteState::forget_relations(const std::string &slot) {
    Statement forget = database_.prepare("DELETE FROM cdc_relations WHERE slot = ?1");
    forget.bind(1, slot);
    forget.run();
}

CopyProgress SqliteState::copy_progress(const std::string &slot) {
    CopyProgress progress;
    if (!has_table("cdc_copied")) {
        return progress;
    }
    Statement relations =
        database_.prepare("SELECT message FROM cdc_copy_relations WHERE slot = ?1 ORDER BY relation_id");
    relations.bind(1, slot);
    while (relations.step()) {
        progress.relations.push_back(parse_relation(relations.blob(0)));
    }
    Statement ranges = database_.prepare(
        "SELECT relation_id, filenode, first_block, end_block, end_block IS NULL FROM cdc_copied WHERE slot = ?1");
    ranges.bind(1, slot);
    while (ranges.step()) {
        CopiedRange &range = progress.ranges.emplace_back();
        range.relation_id = static_cast<uint32_t>(ranges.integer(0));
        range.filenode = static_cast<uint32_t>(ranges.integer(1));
        range.blocks.first = ranges.integer(2);
        if (ranges.integer(4) == 0) {
            range.blocks.end = ranges.integer(3);
        }
    }
    return progress;
}

void SqliteState::save_copy_relation(const std::string &slot, const Relation &relation) {
    Statement save = database_.prepare("INSERT INTO cdc_copy_relations VALUES (?1, ?2, ?3)");
    save.bind(1, slot).bind(2, int64_t{relation.id}).bind_blob(3, relation.message);
    save.run();
}

void SqliteState::save_copied(const std::string &slot, const CopiedRange &range) {
    Statement save = database_.prepare("INSERT INTO cdc_copied VALUES (?1, ?2, ?3, ?4, ?5)");
    save.bind(1, slot).bind(2, int64_t{range.relation_id}).bind(3, int64_t{range.filenode}).bind(4, range.blocks.first);
    if (range.blocks.end) {
        save.bind(5, *range.blocks.end);
    }
    save.run();
}

void SqliteState::forget_copy(const std::string &slot) {
    for (const char *sql :
         {"DELETE FROM cdc_copy_relations WHERE slot = ?1", "DELETE FROM cdc_copied WHERE slot = ?1"}) {
        Statement forget = database_.prepare(sql);
        forget.bind(1, slot);
        forget.run();
    }
}

bool SqliteState::check_owner(const std::string &slot, const Relation &relation) {
    const std::string table = sqlite_table_name(relation);
    const std::string refusal =
        "table " + relation.target().text() + " cannot go into table " + table + " of SQLite file " + database_.file();
    for (const char *reserved : {"cdc_properties", "cdc_state", "cdc_relations", "cdc_copy_relations", "cdc_copied"}) {
        if (sqlite3_stricmp(table.c_str(), reserved) == 0) {
            throw Failure(refusal + ": cdc_consumer keeps its own state there", "Leave the table out of --tables.");
        }
    }
    if (sqlite3_strnicmp(table.c_str(), "cdc_new_", 8) == 0) {
        throw Failure(refusal + ": such names are kept for snapshots", "Leave the table out of --tables.");
    }
    Statement query = database_.prepare("SELECT slot, message FROM cdc_relations WHERE target = ?1 COLLATE NOCASE");
    query.bind(1, table);
    bool owned = false;
    while (query.step()) {
        const std::string owner = query.text(0);
        const Relation other = parse_relation(query.blob(1));
        if (owner != slot) {
            throw Failure(refusal + ": it is kept up to date from slot " + owner, "Use one file for each slot.");
        }
        if (!(other.target() == relation.target()) && other.id != relation.id) {
            throw Failure(refusal + ": table " + other.target().text() + " is there",
                          "Their names are the same to SQLite, so they need two files, and a slot for each.");
        }
        owned = true;
    }
    const bool exists = has_table(table);
    if (exists && !owned) {
        throw Failure(refusal + ": there is such a table, which cdc_consumer did not make",
                      "Name another file, or rename or drop that table.");
    }
    return exists;
}

std::string SqliteState::init_sql() {
    Statement query = database_.prepare("SELECT value FROM cdc_properties WHERE name = 'init_sql'");
    return query.step() ? query.text(0) : std::string();
}

void SqliteState::save_init_sql(const std::string &text) {
    Statement save = database_.prepare("INSERT OR REPLACE INTO cdc_properties VALUES ('init_sql', ?1)");
    save.bind(1, text);
    save.run();
}

}  // namespace cdc::consumer

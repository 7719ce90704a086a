#include "postgres_state.hpp"

#include "../model/lsn.hpp"

#include <memory>

namespace cdc::consumer {

namespace {

constexpr int kLayout = 1;
constexpr char kStagePrefix[] = "cdc_new_";

struct FreeBytes {
    void operator()(unsigned char *bytes) const { PQfreemem(bytes); }
};

std::string hex(const std::string &bytes) {
    static constexpr char kHex[] = "0123456789abcdef";
    std::string text = "\\x";
    text.reserve(2 + 2 * bytes.size());
    for (const char c : bytes) {
        text += kHex[static_cast<uint8_t>(c) >> 4];
        text += kHex[static_cast<uint8_t>(c) & 15];
    }
    return text;
}

std::string bytes_of_hex(const std::string &text) {
    size_t size = 0;
    const std::unique_ptr<unsigned char, FreeBytes> bytes(
        PQunescapeBytea(reinterpret_cast<const unsigned char *>(text.c_str()), &size));
    return bytes == nullptr ? std::string() : std::string(reinterpret_cast<const char *>(bytes.get()), size);
}

}  // namespace

bool PostgresState::exists() {
    if (exists_) {
        return true;
    }
    if (connection_.query("SELECT pg_catalog.to_regclass('cdc_consumer.layout')").is_null(0, 0)) {
        return false;
    }
    const Result layout = connection_.query("SELECT version FROM cdc_consumer.layout");
    const std::string version = layout.rows() == 1 ? layout.text(0, 0) : "none";
    if (version != std::to_string(kLayout)) {
        throw Failure("the tables in schema cdc_consumer have layout " + version + ", this program knows " +
                          std::to_string(kLayout),
                      "Another version of cdc_consumer made them: use that one, or a newer one.");
    }
    return exists_ = true;
}

void PostgresState::create() {
    if (exists()) {
        return;
    }
    // One message of several statements is one transaction.
    connection_.query(
        "CREATE SCHEMA IF NOT EXISTS cdc_consumer;"
        "CREATE TABLE cdc_consumer.layout (version integer NOT NULL);"
        "INSERT INTO cdc_consumer.layout VALUES (1);"
        "CREATE TABLE cdc_consumer.state (slot text PRIMARY KEY, system_identifier text NOT NULL,"
        " database text NOT NULL, tables text NOT NULL, phase text NOT NULL CHECK (phase IN ('snapshot', 'streaming')),"
        " position pg_lsn NOT NULL, updated_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp())"
        " WITH (fillfactor = 10);"  // rewritten with every group: all of its versions in one page
        "CREATE TABLE cdc_consumer.relations (slot text, relation_id oid, target_schema text NOT NULL,"
        " target_name text NOT NULL, message bytea NOT NULL, PRIMARY KEY (slot, relation_id));"
        "CREATE TABLE cdc_consumer.init_sql (slot text PRIMARY KEY, sql text NOT NULL,"
        " run_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp());"
        "CREATE TABLE cdc_consumer.stages (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, slot text NOT NULL);"
        "COMMENT ON SCHEMA cdc_consumer IS 'What cdc_consumer knows about the copies in this database'");
    exists_ = true;
}

std::vector<SinkState> PostgresState::states() {
    std::vector<SinkState> states;
    if (!exists()) {
        return states;
    }
    const Result rows = connection_.query(
        "SELECT slot, system_identifier, database, tables, phase, position FROM cdc_consumer.state ORDER BY slot");
    for (int row = 0; row < rows.rows(); ++row) {
        SinkState state;
        state.slot = rows.text(row, 0);
        state.system_identifier = rows.text(row, 1);
        state.database = rows.text(row, 2);
        state.tables = rows.text(row, 3);
        state.phase = rows.text(row, 4) == "streaming" ? Phase::kStreaming : Phase::kSnapshot;
        state.position = parse_lsn(rows.text(row, 5)).value_or(0);
        states.push_back(std::move(state));
    }
    return states;
}

const char *PostgresState::save_statement() {
    return "INSERT INTO cdc_consumer.state (slot, system_identifier, database, tables, phase, position)"
           " VALUES ($1, $2, $3, $4, $5, $6::pg_lsn) ON CONFLICT (slot) DO UPDATE SET"
           " system_identifier = EXCLUDED.system_identifier, database = EXCLUDED.database, tables = EXCLUDED.tables,"
           " phase = EXCLUDED.phase, position = EXCLUDED.position, updated_at = EXCLUDED.updated_at";
}

std::vector<std::string> PostgresState::save_parameters(const SinkState &state) {
    return {state.slot,
            state.system_identifier,
            state.database,
            state.tables,
            state.phase == Phase::kStreaming ? "streaming" : "snapshot",
            lsn_text(state.position)};
}

void PostgresState::save(const SinkState &state) {
    const std::vector<std::string> parameters = save_parameters(state);
    connection_.query(save_statement(), {parameters.begin(), parameters.end()});
}

std::vector<Relation> PostgresState::relations(const std::string &slot) {
    std::vector<Relation> relations;
    if (!exists()) {
        return relations;
    }
    const Result rows =
        connection_.query("SELECT message FROM cdc_consumer.relations WHERE slot = $1 ORDER BY relation_id", {slot});
    for (int row = 0; row < rows.rows(); ++row) {
        relations.push_back(parse_relation(bytes_of_hex(rows.text(row, 0))));
    }
    return relations;
}

void PostgresState::save_relation(const std::string &slot, const Relation &relation) {
    connection_.query(
        "INSERT INTO cdc_consumer.relations (slot, relation_id, target_schema, target_name, message)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (slot, relation_id) DO UPDATE SET"
        " target_schema = EXCLUDED.target_schema, target_name = EXCLUDED.target_name, message = EXCLUDED.message",
        {slot, std::to_string(relation.id), relation.target().schema, relation.target().name, hex(relation.message)});
}

void PostgresState::forget_relations(const std::string &slot) {
    connection_.query("DELETE FROM cdc_consumer.relations WHERE slot = $1", {slot});
}

std::optional<std::string> PostgresState::owner(const TableName &target) {
    const Result slot = connection_.query(
        "SELECT slot FROM cdc_consumer.relations WHERE target_schema = $1 AND target_name = $2 LIMIT 1",
        {target.schema, target.name});
    return slot.rows() == 0 ? std::nullopt : slot.optional(0, 0);
}

std::optional<std::string> PostgresState::init_sql(const std::string &slot) {
    const Result sql = connection_.query("SELECT sql FROM cdc_consumer.init_sql WHERE slot = $1", {slot});
    return sql.rows() == 0 ? std::nullopt : sql.optional(0, 0);
}

void PostgresState::save_init_sql(const std::string &slot, const std::string &sql) {
    connection_.query(
        "INSERT INTO cdc_consumer.init_sql (slot, sql) VALUES ($1, $2)"
        " ON CONFLICT (slot) DO UPDATE SET sql = EXCLUDED.sql, run_at = EXCLUDED.run_at",
        {slot, sql});
}

std::string PostgresState::add_stage(const std::string &slot) {
    return kStagePrefix +
           connection_.query("INSERT INTO cdc_consumer.stages (slot) VALUES ($1) RETURNING number", {slot}).text(0, 0);
}

std::vector<std::string> PostgresState::stages(const std::string &slot) {
    std::vector<std::string> names;
    const Result rows = connection_.query("SELECT number FROM cdc_consumer.stages WHERE slot = $1", {slot});
    names.reserve(static_cast<size_t>(rows.rows()));
    for (int row = 0; row < rows.rows(); ++row) {
        names.push_back(kStagePrefix + rows.text(row, 0));
    }
    return names;
}

bool PostgresState::has_copy_tables() {
    return exists() && !connection_.query("SELECT pg_catalog.to_regclass('cdc_consumer.copied')").is_null(0, 0);
}

void PostgresState::create_copy_tables() {
    if (has_copy_tables()) {
        return;
    }
    connection_.query(
        "CREATE TABLE cdc_consumer.copy_relations (slot text, relation_id oid, stage text NOT NULL,"
        " message bytea NOT NULL, PRIMARY KEY (slot, relation_id));"
        "CREATE TABLE cdc_consumer.copied (slot text NOT NULL, relation_id oid NOT NULL, filenode oid NOT NULL,"
        " first_block bigint NOT NULL, end_block bigint)");
}

void PostgresState::save_copy_relation(const std::string &slot, const std::string &stage, const Relation &relation) {
    connection_.query(
        "INSERT INTO cdc_consumer.copy_relations (slot, relation_id, stage, message) VALUES ($1, $2, $3, $4)",
        {slot, std::to_string(relation.id), stage, hex(relation.message)});
}

std::vector<PostgresState::StagedRelation> PostgresState::copy_relations(const std::string &slot) {
    std::vector<StagedRelation> relations;
    if (!has_copy_tables()) {
        return relations;
    }
    const Result rows = connection_.query(
        "SELECT stage, message FROM cdc_consumer.copy_relations WHERE slot = $1 ORDER BY relation_id", {slot});
    for (int row = 0; row < rows.rows(); ++row) {
        relations.push_back({rows.text(row, 0), parse_relation(bytes_of_hex(rows.text(row, 1)))});
    }
    return relations;
}

std::vector<CopiedRange> PostgresState::copied(const std::string &slot) {
    std::vector<CopiedRange> ranges;
    if (!has_copy_tables()) {
        return ranges;
    }
    const Result rows = connection_.query(
        "SELECT relation_id, filenode, first_block, end_block FROM cdc_consumer.copied WHERE slot = $1", {slot});
    for (int row = 0; row < rows.rows(); ++row) {
        CopiedRange &range = ranges.emplace_back();
        range.relation_id = static_cast<uint32_t>(std::stoul(rows.text(row, 0)));
        range.filenode = static_cast<uint32_t>(std::stoul(rows.text(row, 1)));
        range.blocks.first = std::stoll(rows.text(row, 2));
        if (!rows.is_null(row, 3)) {
            range.blocks.end = std::stoll(rows.text(row, 3));
        }
    }
    return ranges;
}

void PostgresState::save_copied(Connection &connection, const std::string &slot, const CopiedRange &range) {
    connection.query(
        "INSERT INTO cdc_consumer.copied (slot, relation_id, filenode, first_block, end_block)"
        " VALUES ($1, $2, $3, $4, $5)",
        {slot, std::to_string(range.relation_id), std::to_string(range.filenode), std::to_string(range.blocks.first),
         range.blocks.end ? std::optional<std::string>(std::to_string(*range.blocks.end)) : std::nullopt});
}

void PostgresState::forget_copy(const std::string &slot) {
    connection_.query("DELETE FROM cdc_consumer.stages WHERE slot = $1", {slot});
    connection_.query("DELETE FROM cdc_consumer.copy_relations WHERE slot = $1", {slot});
    connection_.query("DELETE FROM cdc_consumer.copied WHERE slot = $1", {slot});
}

}  // namespace cdc::consumer

// Questions to the source server, as SQL on one ordinary connection.
#include "source.hpp"

#include "selection.hpp"

#include "../model/row.hpp"

#include <poll.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <new>
#include <thread>

namespace cdc::consumer {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kSlotWait{5};  // for a walsender that is about to go
constexpr std::chrono::milliseconds kSlotRetry{200};
constexpr std::chrono::seconds kSayThatWeWait{5};
constexpr std::chrono::milliseconds kFlushWait{100};  // for others to flush WAL
constexpr std::chrono::milliseconds kFlushLook{10};
constexpr std::chrono::seconds kFlushLimit{60};  // the server does so by itself within 15 seconds

int64_t number(const Result &result, int row, int column) {
    return std::strtoll(PQgetvalue(result.get(), row, column), nullptr, 10);
}

Lsn lsn(const Result &result, int row, int column) {
    return result.is_null(row, column) ? 0 : parse_lsn(result.text(row, column)).value_or(0);
}

std::string unescape_bytea(const Result &result, int row, int column) {
    size_t size = 0;
    const std::unique_ptr<unsigned char, decltype(&PQfreemem)> bytes(
        PQunescapeBytea(reinterpret_cast<const unsigned char *>(PQgetvalue(result.get(), row, column)), &size),
        PQfreemem);
    if (bytes == nullptr) {
        throw std::bad_alloc();
    }
    return std::string(reinterpret_cast<const char *>(bytes.get()), size);
}

// Waits for the result of a command that was sent, and says so in the log once if it takes long. Cancels the command
// when `stop` becomes true.
template <typename SayThatItWaits>
PGresult *wait_for_result(Connection &connection, const std::atomic<bool> &stop, SayThatItWaits say) {
    const auto say_at = Clock::now() + kSayThatWeWait;
    bool said = false;
    bool cancelled = false;
    while (PQisBusy(connection.get()) != 0) {
        pollfd fd{PQsocket(connection.get()), POLLIN, 0};
        poll(&fd, 1, 500);
        if (!said && Clock::now() >= say_at) {
            said = true;
            say();
        }
        if (stop && !cancelled) {
            cancelled = true;
            connection.cancel();
        }
        if (PQconsumeInput(connection.get()) == 0) {
            connection.fail(nullptr);
        }
    }
    return PQgetResult(connection.get());
}

Connection::Options options_with(const std::atomic<bool> *stop) {
    Connection::Options options;
    options.stop = stop;
    return options;
}

[[noreturn]] void refuse_slot(const ServerError &error, const std::string &name) {
    if (error.sqlstate() == "42710") {
        throw Failure(
            "replication slot \"" + name + "\" already exists",
            "Choose another name, or drop it if nobody needs it: SELECT pg_drop_replication_slot('" + name + "').");
    }
    std::string hint = error.hint();
    if (error.sqlstate() == "53400") {
        hint = "Drop slots that nobody needs, or raise max_replication_slots and restart the server.";
    } else if (hint.empty() && error.sqlstate() == "58P01") {
        hint = "Install cdc_plugin on the server.";
    } else if (hint.empty()) {
        hint = "SELECT * FROM cdc.preflight() may tell why.";
    }
    throw Failure("cannot create replication slot \"" + name + "\": " + error.what(), hint);
}

}  // namespace

Source::Source(const std::string &conninfo, const std::atomic<bool> *stop)
    : conninfo_(conninfo), stop_(stop), connection_(conninfo, options_with(stop)) {
    // Names of types and tables come with their schema then. Row security must not thin out what is read: an error
    // says so instead.
    connection_.query("SET search_path = pg_catalog; SET row_security = off");
    const Result server =
        connection_.query("SELECT system_identifier, current_database() FROM pg_catalog.pg_control_system()");
    system_identifier_ = server.text(0, 0);
    database_ = server.text(0, 1);
}

void Source::check_server() {
    if (PQserverVersion(connection_.get()) < 150000) {
        throw Failure("the source is older than PostgreSQL 15", "Capture from PostgreSQL 15 or later.");
    }
    const Result level = connection_.query("SHOW wal_level");
    if (level.text(0, 0) != "logical") {
        throw Failure("wal_level of the source is " + level.text(0, 0) + ", not logical",
                      "To mend it: ALTER SYSTEM SET wal_level = logical; -- then restart the server");
    }
    // What is installed on the server, but not created here, cannot be told everywhere: Debian's extension_destdir is
    // not in pg_available_extensions.
    const Result extension = connection_.query(
        "SELECT extversion, to_regproc('cdc.snapshot') IS NOT NULL FROM pg_extension WHERE extname = 'cdc_plugin'");
    if (extension.rows() == 0) {
        throw Failure("extension cdc_plugin is not created in database " + database_,
                      "Install cdc_plugin on the server, then: CREATE EXTENSION cdc_plugin;");
    }
    if (extension.text(0, 1) != "t") {
        throw Failure("extension cdc_plugin " + extension.text(0, 0) + " in database " + database_ +
                          " is too old: it has no cdc.snapshot()",
                      "Install a newer cdc_plugin on the server, then: ALTER EXTENSION cdc_plugin UPDATE;");
    }
    // It words these, with the command that mends them. To it, a role that may not use slots is but a warning.
    const Result found = connection_.query(
        "SELECT finding, fix FROM cdc.preflight() "
        "WHERE item IN ('output_plugin_libraries', 'role') AND status <> 'ok'");
    if (found.rows() > 0) {
        throw Failure(found.text(0, 0), found.is_null(0, 1) ? "" : "To mend it: " + found.text(0, 1));
    }
}

std::vector<SourceTable> Source::tables(const std::string &patterns, const std::string &exclude_patterns) {
    return select_tables(connection_, patterns, exclude_patterns);
}

Relation Source::definition(const SourceTable &table) {
    const Result batches = connection_.query("SELECT b FROM cdc.snapshot($1::oid::regclass, 0, 0) AS b LIMIT 1",
                                             {std::to_string(table.id)});
    const std::string batch = batches.rows() == 1 ? unescape_bytea(batches, 0, 0) : "";
    wire::Error error;
    wire::Reader reader(batch, batch.data(), error);
    wire::RecordView record;
    if (!wire::next_record(reader, record) || record.kind != wire::record::relation) {
        throw CorruptStream("cdc.snapshot() does not begin with the definition of " + table.table.text());
    }
    Relation relation = parse_relation(record.bytes);
    if (relation.id != table.id) {
        throw CorruptStream("cdc.snapshot() describes another table than " + table.table.text());
    }
    return relation;
}

std::optional<SlotInfo> Source::slot(const std::string &name) {
    const Result result = connection_.query(
        "SELECT active, active_pid, plugin, database, wal_status, restart_lsn, confirmed_flush_lsn "
        "FROM pg_replication_slots WHERE slot_name = $1",
        {name});
    if (result.rows() == 0) {
        return std::nullopt;
    }
    SlotInfo info;
    info.active = result.text(0, 0) == "t";
    info.active_pid = static_cast<int>(number(result, 0, 1));
    info.plugin = result.text(0, 2);
    info.database = result.text(0, 3);
    info.wal_status = result.text(0, 4);
    info.restart_lsn = lsn(result, 0, 5);
    info.confirmed_flush_lsn = lsn(result, 0, 6);
    return info;
}

NewSlot Source::create_slot(const std::string &name, const std::atomic<bool> &stop) {
    Connection replication(conninfo_, {"cdc_consumer", true});
    const std::string sql =
        "CREATE_REPLICATION_SLOT " + quote_identifier(name) + " LOGICAL cdc_plugin (SNAPSHOT 'export')";
    if (PQsendQuery(replication.get(), sql.c_str()) == 0) {
        replication.fail(nullptr);
    }
    // The server waits until every transaction that runs now has ended.
    const auto say_that_it_waits = [&] {
        const Result oldest = connection_.query(
            "SELECT coalesce(string_agg(format('process %s (%s, since %s)', pid, state, xact_start::timestamptz(0)), "
            "', '),"
            "                'none to be seen') "
            "FROM (SELECT * FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> $1::integer"
            "      ORDER BY xact_start LIMIT 3) AS a",
            {std::to_string(PQbackendPID(replication.get()))});
        spdlog::info("the new slot waits for transactions that were open when it was asked for; the oldest: {}",
                     oldest.text(0, 0));
    };
    try {
        const Result slot = replication.check(wait_for_result(replication, stop, say_that_it_waits));
        PQclear(PQgetResult(replication.get()));  // the end of results
        const Lsn consistent_point = slot.rows() == 1 ? lsn(slot, 0, 1) : 0;
        if (consistent_point == 0 || slot.is_null(0, 2)) {
            throw Failure("the server did not say where replication slot \"" + name + "\" begins");
        }
        std::string snapshot = slot.text(0, 2);
        return NewSlot(std::move(replication), std::move(snapshot), consistent_point);
    } catch (const ServerError &error) {
        if (stop && error.sqlstate() == "57014") {
            throw Interrupted();
        }
        refuse_slot(error, name);
    }
}

ExportedSnapshot Source::export_snapshot() {
    Connection connection(conninfo_, {});
    connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    std::string name = connection.query("SELECT pg_catalog.pg_export_snapshot()").text(0, 0);
    return ExportedSnapshot(std::move(connection), std::move(name));
}

void Source::drop_slot(const std::string &name) {
    const auto deadline = Clock::now() + kSlotWait;
    while (true) {
        try {
            connection_.query("SELECT pg_drop_replication_slot($1)", {name});
            return;
        } catch (const ServerError &error) {
            if (error.sqlstate() == "42704") {  // gone already
                return;
            }
            if (error.sqlstate() != "55006") {
                throw;
            }
        }
        if (Clock::now() >= deadline) {
            break;
        }
        std::this_thread::sleep_for(kSlotRetry);
    }
    const auto info = slot(name);
    throw Failure("replication slot \"" + name + "\" is in use" +
                      (info && info->active ? " by process " + std::to_string(info->active_pid) : ""),
                  "Another consumer reads it: stop that one first.");
}

Lsn Source::current_lsn() {
    return lsn(connection_.query("SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
                                 " ELSE pg_current_wal_insert_lsn() END"),
               0, 0);
}

Lsn Source::target_lsn() {
    // The insert position may lie behind the header of a page that holds nothing yet. No record ends there, so a stream
    // would only get that far with the next one: the page's beginning is meant. (Where the end of a record has gone
    // into the page, no other one ends between its beginning and that end, so it means the same.)
    constexpr Lsn kLongestHeader = 40;
    const Lsn position = current_lsn();
    const Lsn page = static_cast<Lsn>(
        std::max<int64_t>(number(connection_.query("SELECT current_setting('wal_block_size')::integer"), 0, 0), 1));
    const Lsn target = position % page <= kLongestHeader ? position - position % page : position;
    const auto start = Clock::now();
    bool asked = false;
    bool said = false;
    while (true) {
        const Result flushed =
            connection_.query("SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_flush_lsn() END");
        if (flushed.is_null(0, 0) || lsn(flushed, 0, 0) >= target) {
            break;
        }
        const auto waited = Clock::now() - start;
        if (waited >= kFlushLimit) {
            throw ConnectionLost("the source does not flush its WAL");
        }
        if (stop_ != nullptr && *stop_) {
            throw Interrupted();
        }
        if (!asked && waited >= kFlushWait) {
            asked = true;
            ask_for_flush();
        } else if (!said && waited >= kSayThatWeWait) {
            said = true;
            spdlog::info("waiting for the source to flush its WAL up to {}", lsn_text(target));
        }
        std::this_thread::sleep_for(kFlushLook);
    }
    return target;
}

void Source::ask_for_flush() {
    try {
        connection_.query(std::string("BEGIN; SET LOCAL synchronous_commit = local;"
                                      "SELECT pg_logical_emit_message(true, '") +
                          wire::kHeartbeatPrefix + "', ''); COMMIT");
    } catch (const ServerError &error) {
        spdlog::debug("the end of WAL could not be flushed: {}", error.what());
        connection_.query("ROLLBACK");
    }
}

Source::MissingValue Source::missing_value(uint32_t relation_id, uint32_t attribute_number) {
    // As text[], because the array type of the column would take the one element of an array column for a dimension.
    // Types with another delimiter than the comma (box) cannot be read so.
    const Result column = connection_.query(
        "SELECT a.atthasmissing AND t.typdelim = ',', (a.attmissingval::text::text[])[1],"
        "       NOT a.atthasmissing AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = ''"
        "           AND t.typdefault IS NULL,"
        "       a.attgenerated = '' AND a.attidentity = '', format_type(a.atttypid, a.atttypmod) "
        "FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid "
        "WHERE a.attrelid = $1::oid AND a.attnum = $2::smallint AND NOT a.attisdropped",
        {std::to_string(relation_id), std::to_string(attribute_number)});
    MissingValue missing;
    if (column.rows() == 0 || column.text(0, 3) != "t") {
        return missing;
    }
    if (column.text(0, 2) == "t") {  // rows from before it have NULL
        missing.known = true;
    } else if (column.text(0, 0) == "t" && !column.is_null(0, 1)) {
        missing.known = true;
        missing.text = column.text(0, 1);
        missing.json = connection_.query("SELECT to_jsonb($1::" + column.text(0, 4) + ')', {missing.text}).text(0, 0);
    }
    return missing;
}

uint32_t filenode_of(Connection &connection, uint32_t relation_id) {
    const Result found =
        connection.query("SELECT pg_catalog.pg_relation_filenode($1::oid)", {std::to_string(relation_id)});
    return found.is_null(0, 0) ? 0 : static_cast<uint32_t>(std::stoul(found.text(0, 0)));
}

}  // namespace cdc::consumer

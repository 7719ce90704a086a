// The queries, and their rows as JSON.
#include "view.hpp"

#include "../wire/reader.hpp"

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace cdc::panel {

using consumer::Connection;
using consumer::Failure;
using consumer::Result;
using consumer::ServerError;
using nlohmann::json;

namespace {

constexpr std::chrono::seconds kTimeout{5};

// A server may have many thousands of slots, but a page that shows them all helps nobody: the worst come first.
const char kSlots[] = R"(PREPARE cdc_panel_slots AS
    SELECT slot_name, active, level, cause, also, advice, retained_bytes, unconfirmed_bytes, cap_bytes, cap_source,
           headroom_bytes, used_percent, wal_bytes_per_s, confirmed_bytes_per_s,
           extract(epoch FROM time_to_cap)::float8 AS seconds_to_cap,
           extract(epoch FROM time_to_disk_full)::float8 AS seconds_to_disk_full, wal_status, slot_type, plugin,
           database, active_pid, culprit_pid, culprit_gid, culprit_database, catalog_age, policy_action,
           extract(epoch FROM clock_timestamp() - inactive_since)::float8 AS inactive_seconds
    FROM cdc.slots LIMIT 1000)";

const char kAlerts[] = R"(PREPARE cdc_panel_alerts AS
    SELECT alert, extract(epoch FROM raised_at)::float8 AS raised_at, slot_name, kind, level, previous_level, message,
           detail, hint
    FROM cdc.alerts ORDER BY alert DESC LIMIT 50)";

const char kServer[] = R"(PREPARE cdc_panel_server AS
    SELECT preloaded, enabled, watching, samples, interval_ms, mean_sample_us, disk_free_bytes, server_cap_bytes,
           extract(epoch FROM clock_timestamp() - sampled_at)::float8 AS sample_age_seconds,
           (SELECT count(*) FROM pg_replication_slots) AS slot_count, pg_is_in_recovery() AS standby,
           current_setting('server_version') AS version, current_setting('cluster_name') AS cluster_name
    FROM cdc.guard_status())";

const char kHistory[] = R"(
    SELECT slot_name, floor(extract(epoch FROM sampled_at) / $1::float8)::bigint AS bucket, max(retained_bytes)
    FROM cdc.slot_history WHERE retained_bytes IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2)";

// Names and gids of databases in other encodings can be any bytes: see is_conversion_error().
std::string valid_text(std::string text) {
    for (size_t at = wire::valid_utf8_prefix(text); at < text.size();
         at += 1 + wire::valid_utf8_prefix(std::string_view(text).substr(at + 1))) {
        text[at] = '?';
    }
    return text;
}

json value(const Result &result, int row, int column) {
    if (result.is_null(row, column)) {
        return nullptr;
    }
    const std::string text = result.text(row, column);
    switch (PQftype(result.get(), column)) {
        case 16:  // boolean
            return text == "t";
        case 20:    // bigint
        case 23: {  // integer
            int64_t number = 0;
            std::from_chars(text.data(), text.data() + text.size(), number);
            return number;
        }
        case 701:  // double precision
            return std::strtod(text.c_str(), nullptr);
        default:
            return valid_text(text);
    }
}

json rows(const Result &result) {
    json out = json::array();
    for (int row = 0; row < result.rows(); ++row) {
        json object = json::object();
        for (int column = 0; column < PQnfields(result.get()); ++column) {
            object[PQfname(result.get(), column)] = value(result, row, column);
        }
        out.push_back(std::move(object));
    }
    return out;
}

[[noreturn]] void explain(const ServerError &error) {
    const std::string &state = error.sqlstate();
    throw Failure(error.what(), state == "3F000" ? "The database needs the extension: CREATE EXTENSION cdc_plugin;"
                                : state == "42P01" || state == "42883" || state == "42703"
                                    ? "The extension is older than 0.2: ALTER EXTENSION cdc_plugin UPDATE;"
                                : state == "42501"
                                    ? "The role needs the privileges of pg_monitor: GRANT pg_monitor TO the role;"
                                    : error.hint());
}

// A name or gid of another database need not be text in the encoding of this one, and the server refuses to convert it.
// Then all of it is taken as the bytes that it is, so that one stranger's name does not hide all slots.
bool is_conversion_error(const ServerError &error) {
    return error.sqlstate() == "22021" || error.sqlstate() == "22P05";
}

View views(Connection &connection) {
    View view;
    view.server = rows(connection.query("EXECUTE cdc_panel_server")).at(0);
    view.slots = rows(connection.query("EXECUTE cdc_panel_slots"));
    view.alerts = rows(connection.query("EXECUTE cdc_panel_alerts"));
    return view;
}

template <typename Work>
auto explained(const Work &work) {
    try {
        return work();
    } catch (const ServerError &error) {
        explain(error);
    }
}

}  // namespace

Connection connect(const std::string &source) {
    Connection::Options options;
    options.application_name = "cdc_panel";
    options.timeout = kTimeout;
    return explained([&] {
        Connection connection(source, options);
        // The views raise a NOTICE where the guard does not watch, which the page says itself. Queries are planned
        // once, because that takes as long as running them.
        connection.query(
            "SET default_transaction_read_only = on; SET client_min_messages = warning; SET jit = off; "
            "SET search_path = pg_catalog");
        for (const char *const statement : {kServer, kSlots, kAlerts}) {
            connection.query(statement);
        }
        return connection;
    });
}

View look(Connection &connection) {
    return explained([&] {
        try {
            return views(connection);
        } catch (const ServerError &error) {
            if (!is_conversion_error(error)) {
                throw;
            }
            connection.query("SET client_encoding = SQL_ASCII");
            return views(connection);
        }
    });
}

void load_history(Connection &connection, History &history) {
    explained([&] {
        const Result result = connection.query(kHistory, {std::to_string(history.step())});
        for (int row = 0; row < result.rows(); ++row) {
            history.add(result.text(row, 0), value(result, row, 1), value(result, row, 2));
        }
        return 0;
    });
}

json runbook(Connection &connection, const std::string &slot) {
    return explained([&] {
        return rows(connection.query("SELECT step, title, instruction, command FROM cdc.runbook($1)", {slot}));
    });
}

}  // namespace cdc::panel

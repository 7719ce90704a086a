// Connecting, and telling apart what the server refuses, what may work later, and what never will.
#include "connection.hpp"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <initializer_list>
#include <new>

namespace cdc::consumer {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kGrace{1};  // for the server to say that its timeout was reached

// Returns false now and then, without any: older libpq leaves bytes with OpenSSL that the socket does not tell of.
bool wait_for_input(const PGconn *connection, Clock::time_point deadline) {
    constexpr std::chrono::milliseconds kSlice{200};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd descriptor{PQsocket(connection), POLLIN, 0};
    if (left.count() <= 0) {
        shutdown(descriptor.fd, SHUT_RDWR);  // whoever asks next must not wait for the same answer
        throw ConnectionLost("the server does not answer");
    }
    return poll(&descriptor, 1, static_cast<int>(std::min(left, kSlice).count())) > 0;
}

bool contains_any(std::string_view text, const std::initializer_list<const char *> parts) {
    for (const char *part : parts) {
        if (text.find(part) != std::string_view::npos) {
            return true;
        }
    }
    return false;
}

bool is_wrong_user(std::string_view line) {
    return contains_any(line, {"authentication failed", "pg_hba.conf", "no password supplied",
                               "is not permitted to log in", "permission denied for database"}) ||
           (contains_any(line, {"FATAL:"}) && contains_any(line, {"role \""}) &&
            contains_any(line, {"does not exist"}));
}

bool is_wrong_target(std::string_view line) {
    return contains_any(line, {"FATAL:"}) && contains_any(line, {"database \""}) &&
           contains_any(line, {"does not exist"});
}

bool is_wrong_parameter(std::string_view line) {
    return contains_any(
        line, {"must be superuser or replication role", "definition of service", "service file", "invalid sslmode",
               "invalid integer value", "invalid port number", "server does not support SSL", "root certificate file",
               "certificate verify failed", "does not match host name", "unrecognized configuration parameter",
               "invalid value for parameter", "could not match"});
}

// libpq tells of a failed connection by text alone, which the server words in its own language: what is not recognised
// is worth another try. With several hosts, one that may come back is enough.
[[noreturn]] void fail_to_connect(PGconn *connection) {
    const std::string_view text = PQerrorMessage(connection);
    bool wrong_user = false;
    bool wrong_target = false;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = text.substr(at, end - at);
        at = end + 1;
        if (line.empty() || line.front() == '\t') {
            continue;
        }
        if (is_wrong_user(line)) {
            wrong_user = true;
        } else if (is_wrong_target(line)) {
            wrong_target = true;
        } else if (!is_wrong_parameter(line)) {
            throw ConnectionLost(one_line(text));
        }
    }
    throw Failure(one_line(text), wrong_user     ? "Check user and password in the connection string, and the server's "
                                                   "pg_hba.conf."
                                  : wrong_target ? "Check dbname in the connection string."
                                                 : "Check the connection string.");
}

void check_conninfo(const std::string &conninfo) {
    char *message = nullptr;
    PQconninfoOption *const options = PQconninfoParse(conninfo.c_str(), &message);
    const std::string error = message == nullptr ? "" : one_line(message);
    PQfreemem(message);
    if (options == nullptr) {
        throw Failure("invalid connection string: " + error,
                      "It has the form 'host=db dbname=shop user=cdc' or postgresql://cdc@db/shop.", ExitCode::kUsage);
    }
    PQconninfoFree(options);
}

void log_notice(void *, const char *message) {
    spdlog::debug("server says: {}", one_line(message));
}

// Whether the server ended the session, or the connection to it broke: class 08 and the shutdowns of class 57.
bool is_lost(std::string_view sqlstate) {
    return sqlstate.substr(0, 2) == "08" || sqlstate == "57P01" || sqlstate == "57P02" || sqlstate == "57P03";
}

}  // namespace

std::string one_line(std::string_view text) {
    std::string line;
    for (const char c : text) {
        if (c != '\n' && c != '\t' && c != '\r' && c != ' ') {
            line += c;
        } else if (!line.empty() && line.back() != ' ') {
            line += ' ';
        }
    }
    while (!line.empty() && line.back() == ' ') {
        line.pop_back();
    }
    return line;
}

long long Result::affected() const {
    return std::strtoll(PQcmdTuples(result_.get()), nullptr, 10);
}

Connection::Connection(const std::string &conninfo, const Options &options)
    : timeout_(options.timeout), stop_(options.stop) {
    check_conninfo(conninfo);
    // Of a parameter that comes twice, the later one counts: what stands in front of dbname are defaults.
    std::vector<const char *> names;
    std::vector<const char *> values;
    const auto add = [&](const char *name, const char *value) {
        names.push_back(name);
        values.push_back(value);
    };
    const std::string timeout_s = std::to_string(options.timeout.count());
    const std::string timeout_ms = timeout_s + "000";
    if (options.timeout.count() > 0) {
        add("tcp_user_timeout", timeout_ms.c_str());
        add("connect_timeout", timeout_s.c_str());
    } else if (std::getenv("PGCONNECT_TIMEOUT") == nullptr) {
        add("connect_timeout", "10");
    }
    // A peer that is gone without a word is noticed within two minutes.
    add("keepalives_idle", "60");
    add("keepalives_interval", "10");
    add("keepalives_count", "6");
    add("fallback_application_name", options.application_name.c_str());
    add("dbname", conninfo.c_str());
    add("client_encoding", "UTF8");
    if (options.replication) {
        add("replication", "database");
    }
    add(nullptr, nullptr);
    connection_.reset(PQconnectdbParams(names.data(), values.data(), 1));
    if (connection_ == nullptr) {
        throw std::bad_alloc();
    }
    if (PQstatus(get()) != CONNECTION_OK) {
        fail_to_connect(get());
    }
    PQsetNoticeProcessor(get(), log_notice, nullptr);
    // By SET, because settings in the connection string would win over others there. A role may have timeouts, which
    // are for people: a copy takes as long as it takes.
    std::string settings =
        "SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'; SET extra_float_digits = 3; "
        "SET bytea_output = 'hex'; SET idle_in_transaction_session_timeout = 0; SET statement_timeout = " +
        (options.timeout.count() > 0 ? timeout_ms : "0");
    if (PQserverVersion(get()) >= 140000) {
        settings += "; SET idle_session_timeout = 0";
    }
    if (PQserverVersion(get()) >= 170000) {
        settings += "; SET transaction_timeout = 0";
    }
    query(settings);
}

Result Connection::query(const std::string &sql) {
    if (timeout_.count() > 0 || stop_ != nullptr) {
        return answer(PQsendQuery(get(), sql.c_str()));
    }
    return check(PQexec(get(), sql.c_str()));
}

Result Connection::query(const std::string &sql, const std::vector<std::optional<std::string>> &parameters) {
    std::vector<const char *> values;
    values.reserve(parameters.size());
    for (const auto &parameter : parameters) {
        values.push_back(parameter ? parameter->c_str() : nullptr);
    }
    const int count = static_cast<int>(values.size());
    if (timeout_.count() > 0 || stop_ != nullptr) {
        return answer(PQsendQueryParams(get(), sql.c_str(), count, nullptr, values.data(), nullptr, nullptr, 0));
    }
    return check(PQexecParams(get(), sql.c_str(), count, nullptr, values.data(), nullptr, nullptr, 0));
}

void Connection::cancel() noexcept {
    PGcancel *const request = PQgetCancel(get());
    char error[256];
    if (request != nullptr) {
        PQcancel(request, error, sizeof error);
        PQfreeCancel(request);
    }
}

// As PQexec does: the last of several results, or the first error. All are taken, so that another query can follow.
Result Connection::answer(int sent) {
    const auto deadline = timeout_.count() > 0 ? Clock::now() + timeout_ + kGrace : Clock::time_point::max();
    bool cancelled = false;
    if (sent == 0) {
        fail(nullptr);
    }
    std::unique_ptr<PGresult, ResultDeleter> kept;
    for (;;) {
        while (PQisBusy(get()) != 0) {
            if (!wait_for_input(get(), deadline) && stop_ != nullptr && *stop_ && !cancelled) {
                cancel();
                cancelled = true;
            }
            if (PQconsumeInput(get()) == 0) {
                fail(nullptr);
            }
        }
        std::unique_ptr<PGresult, ResultDeleter> next(PQgetResult(get()));
        if (next == nullptr) {
            if (cancelled && PQresultStatus(kept.get()) == PGRES_FATAL_ERROR) {
                throw Interrupted();
            }
            return check(kept.release());
        }
        if (kept == nullptr || PQresultStatus(kept.get()) != PGRES_FATAL_ERROR) {
            kept = std::move(next);
        }
        const ExecStatusType status = PQresultStatus(kept.get());
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            return check(kept.release());  // there is no next one until the copy has ended
        }
    }
}

Result Connection::check(PGresult *result) {
    Result owned(result);
    switch (PQresultStatus(result)) {
        case PGRES_EMPTY_QUERY:
        case PGRES_COMMAND_OK:
        case PGRES_TUPLES_OK:
        case PGRES_SINGLE_TUPLE:
        case PGRES_COPY_IN:
        case PGRES_COPY_OUT:
        case PGRES_COPY_BOTH:
            return owned;
        default:  // nullptr, too
            fail(result);
    }
}

void Connection::fail(const PGresult *result) {
    const auto field = [&](int code) {
        const char *const text = result == nullptr ? nullptr : PQresultErrorField(result, code);
        return std::string(text == nullptr ? "" : text);
    };
    const std::string sqlstate = field(PG_DIAG_SQLSTATE);
    std::string message = one_line(field(PG_DIAG_MESSAGE_PRIMARY));
    if (message.empty()) {
        message = one_line(result == nullptr ? PQerrorMessage(get()) : PQresultErrorMessage(result));
    }
    if (message.empty()) {
        message = "the connection to the server was lost";
    }
    // Without an SQLSTATE, it was not the server that said this: in pipeline mode, libpq reports a closed connection
    // before its status tells.
    if (PQstatus(get()) != CONNECTION_OK || sqlstate.empty() || is_lost(sqlstate)) {
        throw ConnectionLost(message);
    }
    throw ServerError(message, sqlstate, field(PG_DIAG_MESSAGE_DETAIL), field(PG_DIAG_MESSAGE_HINT));
}

std::string Connection::quote_name(std::string_view name) const {
    return quote_identifier(name);
}

std::string Connection::quote_literal(std::string_view text) const {
    const std::unique_ptr<char, decltype(&PQfreemem)> literal(PQescapeLiteral(get(), text.data(), text.size()),
                                                              PQfreemem);
    if (literal == nullptr) {
        throw Failure("text that cannot be quoted: " + one_line(PQerrorMessage(get())));
    }
    return literal.get();
}

std::string quote_identifier(std::string_view name) {
    std::string quoted = "\"";
    for (const char c : name) {
        quoted += c;
        if (c == '"') {
            quoted += c;
        }
    }
    return quoted += '"';
}

}  // namespace cdc::consumer

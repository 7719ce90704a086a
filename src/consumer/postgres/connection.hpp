// A connection to PostgreSQL by libpq, of the source as well as of a sink. Failed connections and those that break are
// ConnectionLost; what the server refuses is ServerError.
#pragma once

#include "../model/failure.hpp"

#include <libpq-fe.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cdc::consumer {

// An error that the server reported.
class ServerError : public std::runtime_error {
 public:
    ServerError(const std::string &message, std::string sqlstate, std::string detail, std::string hint)
        : std::runtime_error(message),
          sqlstate_(std::move(sqlstate)),
          detail_(std::move(detail)),
          hint_(std::move(hint)) {}

    const std::string &sqlstate() const { return sqlstate_; }
    const std::string &detail() const { return detail_; }
    const std::string &hint() const { return hint_; }

 private:
    std::string sqlstate_;
    std::string detail_;
    std::string hint_;
};

struct ResultDeleter {
    void operator()(PGresult *result) const { PQclear(result); }
};

// Rows of a query, as text.
class Result {
 public:
    explicit Result(PGresult *result) : result_(result) {}

    int rows() const { return PQntuples(result_.get()); }
    bool is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
    std::string text(int row, int column) const {
        return std::string(PQgetvalue(result_.get(), row, column),
                           static_cast<size_t>(PQgetlength(result_.get(), row, column)));
    }
    std::optional<std::string> optional(int row, int column) const {
        return is_null(row, column) ? std::nullopt : std::optional<std::string>(text(row, column));
    }
    // Rows that a command changed.
    long long affected() const;
    PGresult *get() const { return result_.get(); }

 private:
    std::unique_ptr<PGresult, ResultDeleter> result_;
};

class Connection {
 public:
    struct Options {
        std::string application_name = "cdc_consumer";
        bool replication = false;  // replication=database
        // For connecting, for a statement, and for the network to take what is sent; 0: no limit but for connecting.
        // A second later, ConnectionLost if there is no answer: a server that hangs does not keep its own timeout, and
        // its machine still confirms what is sent.
        std::chrono::seconds timeout{0};
        // When it becomes true, the query that runs is cancelled: Interrupted. A lock may be waited for without end.
        const std::atomic<bool> *stop = nullptr;
    };
    // `conninfo`: key=value pairs or a URI. Pins client_encoding UTF8, DateStyle ISO, IntervalStyle postgres, TimeZone
    // UTC, extra_float_digits 3 and bytea_output hex (whatever the conninfo says); keepalives on.
    Connection(const std::string &conninfo, const Options &options);
    Connection(Connection &&other) noexcept = default;
    Connection &operator=(Connection &&other) noexcept = default;

    PGconn *get() const { return connection_.get(); }

    // One or more statements without parameters.
    Result query(const std::string &sql);
    // One statement; nullopt is NULL.
    Result query(const std::string &sql, const std::vector<std::optional<std::string>> &parameters);

    // From here on as if it had been among the options.
    void heed(const std::atomic<bool> *stop) { stop_ = stop; }

    // Asks the server to give up the command that runs. Errors are ignored: then the command goes on until its end.
    void cancel() noexcept;

    // Turns a result into an exception if it is none of the wanted ones. Takes ownership of `result`.
    Result check(PGresult *result);
    // ServerError, or ConnectionLost if the connection is gone.
    [[noreturn]] void fail(const PGresult *result);

    std::string quote_name(std::string_view name) const;
    std::string quote_literal(std::string_view text) const;

 private:
    Result answer(int sent);

    struct Closer {
        void operator()(PGconn *connection) const { PQfinish(connection); }
    };
    std::unique_ptr<PGconn, Closer> connection_;
    std::chrono::seconds timeout_{0};
    const std::atomic<bool> *stop_ = nullptr;
};

// What a person reads in a log: libpq ends its messages with a newline and continues some on a second line.
std::string one_line(std::string_view text);

// "orders"."order" with quotes where needed or not: always quoted.
std::string quote_identifier(std::string_view name);

}  // namespace cdc::consumer

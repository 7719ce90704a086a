// Queries that end in a bounded time. The server's own statement_timeout does not help against a server that hangs, and
// its machine still confirms what is sent.
#pragma once

#include "../consumer/postgres/connection.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace cdc::panel {

// For connecting, and for a query by the server's clock.
constexpr std::chrono::seconds kTimeout{5};

// Like Connection::query, but ConnectionLost if there is no answer a second after the server should have given up. The
// connection is of no use then.
consumer::Result query(consumer::Connection &connection, const std::string &sql);
consumer::Result query(consumer::Connection &connection, const std::string &sql,
                       const std::vector<std::string> &parameters);

}  // namespace cdc::panel

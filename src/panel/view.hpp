// What is asked of the server: the guard's views, as JSON. All of it is read, and takes a bounded time.
#pragma once

#include "history.hpp"

#include "../consumer/postgres/connection.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace cdc::panel {

// What the page and the metrics are made of.
struct View {
    nlohmann::json server;  // an object
    nlohmann::json slots;   // an array of objects, the worst slot first
    nlohmann::json alerts;  // the latest first
};

// These throw Failure with a hint where the extension or a privilege is missing.
consumer::Connection connect(const std::string &source);
View look(consumer::Connection &connection);
// Adds the guard's own samples, as far back as it has them.
void load_history(consumer::Connection &connection, History &history);
nlohmann::json runbook(consumer::Connection &connection, const std::string &slot);

}  // namespace cdc::panel

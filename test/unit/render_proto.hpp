// Renders messages that libprotobuf encoded, for tests of what the JSON says.
#pragma once

#include "decode_batch.hpp"
#include "proto.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace cdc::test {

// The records of a batch, given in protobuf's text format. Each line is checked to be JSON, on one line, and to mean
// the same in a database of another encoding.
std::vector<nlohmann::json> render(std::string_view batch_text);

// The one record of a batch.
nlohmann::json render_one(std::string_view batch_text);

// The error of a batch, and how many records came before it; "" if there is none.
struct RenderError {
    std::string what;
    size_t records;
};
RenderError render_error(const proto::Batch &batch);
RenderError render_error(std::string_view batch_text);

// A value's JSON text, digit by digit. ("error: ..." if it has none.)
std::string value_json(const proto::Value &value, wire::RenderOptions options = kUtf8);
std::string value_json(std::string_view value_text, wire::RenderOptions options = kUtf8);

}  // namespace cdc::test

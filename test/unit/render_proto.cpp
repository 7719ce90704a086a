// Rendering of messages that libprotobuf encoded.
#include "render_proto.hpp"

#include <algorithm>

namespace cdc::test {

namespace {

bool is_one_line(const std::string &text) {
    return text.find('\n') == std::string::npos && text.find('\r') == std::string::npos;
}

bool is_ascii(const std::string &text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) < 0x80; });
}

RenderError error_of(const std::string &bytes) {
    const Decoded decoded = decode_batch(bytes);
    const Decoded ascii = decode_batch(bytes, kOtherEncoding);
    EXPECT_EQ(decoded.lines.size(), ascii.lines.size());
    EXPECT_STREQ(decoded.error.what, ascii.error.what);
    EXPECT_LE(decoded.error.offset, bytes.size());
    EXPECT_EQ(decoded.error.offset, ascii.error.offset);
    return RenderError{decoded.error ? decoded.error.what : "", decoded.lines.size()};
}

}  // namespace

std::vector<nlohmann::json> render(std::string_view batch_text) {
    const std::string bytes = to_bytes(from_text<proto::Batch>(batch_text));
    const Decoded decoded = decode_batch(bytes);
    const Decoded ascii = decode_batch(bytes, kOtherEncoding);
    EXPECT_FALSE(decoded.error) << decoded.error.what;
    EXPECT_EQ(decoded.lines.size(), ascii.lines.size());
    std::vector<nlohmann::json> records;
    for (size_t i = 0; i < decoded.lines.size() && i < ascii.lines.size(); ++i) {
        EXPECT_TRUE(is_one_line(decoded.lines[i])) << decoded.lines[i];
        EXPECT_TRUE(is_one_line(ascii.lines[i]) && is_ascii(ascii.lines[i])) << ascii.lines[i];
        records.push_back(nlohmann::json::parse(decoded.lines[i]));
        EXPECT_EQ(nlohmann::json::parse(ascii.lines[i]), records.back());
    }
    return records;
}

nlohmann::json render_one(std::string_view batch_text) {
    const std::vector<nlohmann::json> records = render(batch_text);
    EXPECT_EQ(records.size(), 1U);
    return records.size() == 1 ? records[0] : nlohmann::json();
}

RenderError render_error(const proto::Batch &batch) {
    return error_of(to_bytes(batch));
}

RenderError render_error(std::string_view batch_text) {
    return render_error(from_text<proto::Batch>(batch_text));
}

std::string value_json(const proto::Value &value, wire::RenderOptions options) {
    proto::Batch batch;
    proto::Change &change = *batch.add_records()->mutable_change();
    change.set_op(proto::OP_INSERT);
    *change.add_after() = value;
    const Decoded decoded = decode_batch(to_bytes(batch), options);
    if (decoded.error) {
        return std::string("error: ") + decoded.error.what;
    }
    const std::string &line = decoded.lines.at(0);
    EXPECT_TRUE(nlohmann::json::accept(line)) << line;
    EXPECT_TRUE(is_one_line(line)) << line;
    // Without a relation the row is an array, the last member but for notes.
    const std::string start = R"("after":[)";
    const size_t from = line.find(start) + start.size();
    const size_t notes = std::min(line.find("],\"after_", from), line.find("],\"unchanged_", from));
    return line.substr(from, std::min(notes, line.size() - 2) - from);
}

std::string value_json(std::string_view value_text, wire::RenderOptions options) {
    return value_json(from_text<proto::Value>(value_text), options);
}

}  // namespace cdc::test

// The schema as libprotobuf has it, and how the hand-written encoding is held to it.
#pragma once

#include "tight_buffer.hpp"

#include <cdc_plugin/v1/change.pb.h>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace cdc::test {

namespace proto = ::cdc_plugin::v1;

// A message written in protobuf's text format.
void parse_text(std::string_view text, google::protobuf::Message &message);

template <typename Message>
Message from_text(std::string_view text) {
    Message message;
    parse_text(text, message);
    return message;
}

// The bytes of a message: canonical, the shortest there are.
std::string to_bytes(const google::protobuf::Message &message);

// Parses bytes that must be the canonical encoding of the message that they hold: nothing unknown in them, nothing
// written that is a default, no longer way of writing a number.
void parse_canonical(std::string_view bytes, google::protobuf::Message &message);

inline proto::Batch parse_batch(const TightBuffer &buffer) {
    proto::Batch batch;
    parse_canonical(buffer.view(), batch);
    return batch;
}

// The only record of a batch.
inline proto::Record parse_record(const TightBuffer &buffer) {
    const proto::Batch batch = parse_batch(buffer);
    EXPECT_EQ(batch.records_size(), 1);
    return batch.records_size() == 1 ? batch.records(0) : proto::Record();
}

}  // namespace cdc::test

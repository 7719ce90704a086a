// Helpers round libprotobuf.
#include "proto.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include <memory>
#include <stdexcept>

namespace cdc::test {

std::string to_bytes(const google::protobuf::Message &message) {
    std::string bytes;
    {
        google::protobuf::io::StringOutputStream stream(&bytes);
        google::protobuf::io::CodedOutputStream coded(&stream);
        coded.SetSerializationDeterministic(true);
        message.SerializeToCodedStream(&coded);
    }
    return bytes;
}

void parse_canonical(std::string_view bytes, google::protobuf::Message &message) {
    ASSERT_TRUE(message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    const std::unique_ptr<google::protobuf::Message> known(message.New());
    known->CopyFrom(message);
    known->DiscardUnknownFields();
    EXPECT_EQ(known->ByteSizeLong(), message.ByteSizeLong()) << "fields that the schema does not have:\n"
                                                             << message.DebugString();
    EXPECT_TRUE(to_bytes(*known) == bytes) << "not canonical: " << bytes.size() << " bytes for\n"
                                           << message.ShortDebugString().substr(0, 2000);
}

void parse_text(std::string_view text, google::protobuf::Message &message) {
    if (!google::protobuf::TextFormat::ParseFromString(std::string(text), &message)) {
        throw std::runtime_error("not the text of a message: " + std::string(text));
    }
}

}  // namespace cdc::test

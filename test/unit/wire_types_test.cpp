// Each field of the schema, as the writers put it on the wire: with the wire type that the schema gives it, and none
// left out of the samples that the other tests use.
#include "proto.hpp"
#include "sample_batch.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format.h>

#include <set>

namespace cdc::test {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormat;
using google::protobuf::internal::WireFormatLite;

class Walk {
 public:
    void message(std::string_view bytes, const Descriptor &type) {
        google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t *>(bytes.data()),
                                                      static_cast<int>(bytes.size()));
        while (const uint32_t tag = stream.ReadTag()) {
            const FieldDescriptor *const field = type.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
            ASSERT_NE(field, nullptr) << "field " << WireFormatLite::GetTagFieldNumber(tag) << " of " << type.name();
            ASSERT_EQ(tag, WireFormat::MakeTag(field)) << field->full_name();
            seen.insert(field);
            if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
                uint32_t size = 0;
                ASSERT_TRUE(stream.ReadVarint32(&size));
                ASSERT_NO_FATAL_FAILURE(
                    message(bytes.substr(static_cast<size_t>(stream.CurrentPosition()), size), *field->message_type()));
                ASSERT_TRUE(stream.Skip(static_cast<int>(size)));
            } else {
                ASSERT_TRUE(WireFormatLite::SkipField(&stream, tag));
            }
        }
        EXPECT_TRUE(stream.ConsumedEntireMessage());
    }

    std::set<const FieldDescriptor *> seen;
};

void expect_all_seen(const Descriptor &type, const Walk &walk, std::set<const Descriptor *> &visited) {
    if (!visited.insert(&type).second) {
        return;
    }
    for (int i = 0; i < type.field_count(); ++i) {
        const FieldDescriptor &field = *type.field(i);
        EXPECT_EQ(walk.seen.count(&field), 1U) << field.full_name() << " is in none of the samples";
        if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
            expect_all_seen(*field.message_type(), walk, visited);
        }
    }
}

}  // namespace

TEST(WireTypes, AreThoseOfTheSchema) {
    TightBuffer out;
    write_sample_batch(out);
    Walk walk;
    ASSERT_NO_FATAL_FAILURE(walk.message(out.view(), *proto::Batch::descriptor()));
    std::set<const Descriptor *> visited;
    expect_all_seen(*proto::Batch::descriptor(), walk, visited);
}

TEST(WireTypes, SamplesAreCanonical) {
    for (const SampleRecord &sample : sample_records()) {
        SCOPED_TRACE(sample.name);
        TightBuffer out;
        sample.write(out);
        parse_record(out);
    }
}

// Concatenated batches are a batch.
TEST(WireTypes, SampleBatchIsCanonical) {
    TightBuffer out;
    write_sample_batch(out);
    EXPECT_EQ(parse_batch(out).records_size(), static_cast<int>(sample_records().size()));
}

}  // namespace cdc::test

// schema.hpp against the descriptors of change.proto, in both directions: each namespace is a message and each constant
// in it a field; each enum class is an enum.
#include "proto.hpp"
#include "schema_header.hpp"

#include "wire/schema.hpp"

#include <google/protobuf/wire_format_lite.h>

#include <cctype>

namespace cdc::test {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;

char lower(char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

// ChangedColumns -> changed_columns.
std::string snake_case(const std::string &camel_case) {
    std::string snake;
    for (const char c : camel_case) {
        if (std::isupper(static_cast<unsigned char>(c)) != 0 && !snake.empty()) {
            snake += '_';
        }
        snake += lower(c);
    }
    return snake;
}

// NOT_IN_REPLICA_IDENTITY -> kNotInReplicaIdentity.
std::string constant_case(const std::string &upper_case) {
    std::string constant = "k";
    bool upper = true;
    for (const char c : upper_case) {
        if (c != '_') {
            constant += upper ? c : lower(c);
        }
        upper = c == '_';
    }
    return constant;
}

const google::protobuf::FileDescriptor &schema() {
    return *proto::Batch::descriptor()->file();
}

Groups proto_fields() {
    Groups groups;
    for (int i = 0; i < schema().message_type_count(); ++i) {
        const Descriptor &message = *schema().message_type(i);
        EXPECT_EQ(message.nested_type_count(), 0) << message.name();
        if (message.name() == "BatchFile") {
            continue;  // what a whole file is: nothing writes it
        }
        // The one message whose name in C++ is not its own in snake case.
        const std::string name = message.name() == "TimeTz" ? "timetz" : snake_case(message.name());
        for (int k = 0; k < message.field_count(); ++k) {
            groups[name][message.field(k)->name()] = message.field(k)->number();
        }
    }
    return groups;
}

Groups proto_enums() {
    Groups groups;
    for (int i = 0; i < schema().enum_type_count(); ++i) {
        const EnumDescriptor &type = *schema().enum_type(i);
        const size_t prefix = snake_case(type.name()).size() + 1;  // REPLICA_IDENTITY_FULL is kFull
        for (int k = 0; k < type.value_count(); ++k) {
            groups[type.name()][constant_case(type.value(k)->name().substr(prefix))] = type.value(k)->number();
        }
    }
    return groups;
}

void expect_each_in(const Groups &left, const char *left_file, const Groups &right, const char *right_file) {
    for (const auto &[name, members] : left) {
        const auto group = right.find(name);
        if (group == right.end()) {
            ADD_FAILURE() << name << " is in " << left_file << ", but not in " << right_file;
            continue;
        }
        for (const auto &[member, number] : members) {
            const auto found = group->second.find(member);
            if (found == group->second.end()) {
                ADD_FAILURE() << name << "." << member << " is in " << left_file << ", but not in " << right_file;
            } else {
                EXPECT_EQ(found->second, number) << name << "." << member;
            }
        }
    }
}

void expect_same(const Groups &header, const Groups &proto) {
    expect_each_in(header, "schema.hpp", proto, "change.proto");
    expect_each_in(proto, "change.proto", header, "schema.hpp");
}

}  // namespace

TEST(Schema, FieldNumbers) {
    expect_same(read_schema_header().fields, proto_fields());
}

TEST(Schema, EnumValues) {
    expect_same(read_schema_header().enums, proto_enums());
}

// The text that the tests above read is the code that the compiler sees.
TEST(Schema, HeaderIsReadRight) {
    const SchemaHeader header = read_schema_header();
    EXPECT_EQ(header.fields.at("value").at("undecoded_text"), static_cast<int>(wire::value::undecoded_text));
    EXPECT_EQ(header.enums.at("Absent").at("kNotInReplicaIdentity"),
              static_cast<int>(wire::Absent::kNotInReplicaIdentity));
}

TEST(Schema, MeaningOfConstants) {
    EXPECT_EQ(schema().package(), "cdc_plugin.v" + std::to_string(wire::kWireVersion));
    EXPECT_EQ(wire::kEpochUnixSeconds, wire::kEpochUnixDays * int64_t{86400});
    EXPECT_EQ(wire::kEpochUnixDays, 30 * 365 + 7);  // with the leap days of 1972 to 1996
}

TEST(Schema, WireTypes) {
    using google::protobuf::internal::WireFormatLite;
    EXPECT_EQ(wire::kVarint, static_cast<uint32_t>(WireFormatLite::WIRETYPE_VARINT));
    EXPECT_EQ(wire::kFixed64, static_cast<uint32_t>(WireFormatLite::WIRETYPE_FIXED64));
    EXPECT_EQ(wire::kBytes, static_cast<uint32_t>(WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
    EXPECT_EQ(wire::kFixed32, static_cast<uint32_t>(WireFormatLite::WIRETYPE_FIXED32));
    EXPECT_EQ(wire::tag(22, wire::kBytes), WireFormatLite::MakeTag(22, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
}

}  // namespace cdc::test

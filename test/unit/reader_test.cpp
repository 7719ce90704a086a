// The cursor over fields: what it reads, and that each malformed input is an error at the right byte.
#include "wire/reader.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cdc::test {

namespace {

using namespace std::string_view_literals;

struct Read {
    std::vector<wire::Field> fields;
    wire::Error error;
};

// The bytes are exactly as long as the string_view says, for AddressSanitizer to see.
class Input {
 public:
    explicit Input(std::string_view bytes) : bytes_(bytes.begin(), bytes.end()) {}

    Read read() const {
        Read result;
        wire::Reader reader(view(), bytes_.data(), result.error);
        wire::Field field;
        while (reader.next(field)) {
            result.fields.push_back(field);
        }
        EXPECT_FALSE(reader.next(field));
        return result;
    }

    std::string_view view() const { return std::string_view(bytes_.data(), bytes_.size()); }

 private:
    std::vector<char> bytes_;
};

void expect_error(std::string_view bytes, const char *what, size_t offset, size_t fields_before = 0) {
    const Input input(bytes);
    const Read read = input.read();
    EXPECT_STREQ(read.error.what, what);
    EXPECT_EQ(read.error.offset, offset);
    EXPECT_EQ(read.fields.size(), fields_before);
}

}  // namespace

TEST(Reader, Nothing) {
    const Input input("");
    EXPECT_FALSE(input.read().error);
    EXPECT_TRUE(input.read().fields.empty());
}

TEST(Reader, EachType) {
    const Input input(
        "\x08\x96\x01"
        "\x11\1\2\3\4\5\6\7\x88"
        "\x1a\3abc"
        "\x25\1\2\3\xff"
        "\x2a\0"
        "\xf8\xff\xff\xff\x0f\1"sv);
    const Read read = input.read();
    ASSERT_FALSE(read.error);
    ASSERT_EQ(read.fields.size(), 6U);
    EXPECT_EQ(read.fields[0].number, 1U);
    EXPECT_EQ(read.fields[0].type, wire::kVarint);
    EXPECT_EQ(read.fields[0].number_value, 150U);
    EXPECT_EQ(read.fields[1].type, wire::kFixed64);
    EXPECT_EQ(read.fields[1].number_value, 0x8807060504030201U);
    EXPECT_EQ(read.fields[2].type, wire::kBytes);
    EXPECT_EQ(read.fields[2].bytes, "abc");
    EXPECT_EQ(read.fields[2].number_value, 0U);
    EXPECT_EQ(read.fields[3].type, wire::kFixed32);
    EXPECT_EQ(read.fields[3].number_value, 0xff030201U);
    EXPECT_EQ(read.fields[4].bytes, "");
    EXPECT_EQ(read.fields[5].number, 0x1FFFFFFFU);
}

// Longer than needed, yet legal: other writers may pad.
TEST(Reader, OverlongVarints) {
    const Input input("\x88\x80\x00\x96\x81\x80\x80\x80\x80\x80\x80\x80\x00"sv);
    const Read read = input.read();
    ASSERT_FALSE(read.error);
    ASSERT_EQ(read.fields.size(), 1U);
    EXPECT_EQ(read.fields[0].number, 1U);
    EXPECT_EQ(read.fields[0].number_value, 150U);
    const Input largest("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv);
    EXPECT_EQ(largest.read().fields.at(0).number_value, UINT64_MAX);
}

TEST(Reader, VarintsOfMoreThan64Bits) {
    expect_error("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"sv, "number of more than 64 bits", 1);
    expect_error("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"sv, "number of more than 64 bits", 1);
    expect_error("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"sv, "number of more than 64 bits", 0);
    expect_error("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"sv, "number of more than 64 bits", 1);
}

TEST(Reader, Truncated) {
    expect_error("\x88", "truncated number", 0);
    expect_error("\x08", "truncated number", 1);
    expect_error("\x08\x80", "truncated number", 1);
    expect_error("\x09\1\2\3\4\5\6\7", "truncated number", 1);
    expect_error("\x0d\1\2\3", "truncated number", 1);
    expect_error("\x0a", "truncated number", 1);
    expect_error("\x08\x01\x0a\x80", "truncated number", 3, 1);
}

TEST(Reader, LengthsBeyondTheEnd) {
    expect_error("\x0a\x01", "length beyond the end of the data", 1);
    expect_error(
        "\x0a\x04"
        "abc",
        "length beyond the end of the data", 1);
    expect_error(
        "\x08\x01\x0a\xff\xff\xff\xff\x0f"
        "abc",
        "length beyond the end of the data", 3, 1);
    expect_error(
        "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
        "abc",
        "length beyond the end of the data", 1);
    expect_error(
        "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
        "abc",
        "length beyond the end of the data", 1);
}

TEST(Reader, FieldNumbers) {
    expect_error("\x00\x01"sv, "invalid field number", 0);
    expect_error("\x02\x00"sv, "invalid field number", 0);
    expect_error("\x08\x01\x07"sv, "invalid field number", 2, 1);
    expect_error("\x80\x80\x80\x80\x10\x01"sv, "invalid field number", 0);  // 2^29
    expect_error("\x88\x80\x80\x80\x80\x80\x80\x80\x80\x01\x01"sv, "invalid field number", 0);
}

// Groups have not been in protobuf for long, and 6 and 7 never were.
TEST(Reader, WireTypes) {
    expect_error("\x0b\x0c"sv, "invalid wire type", 0);
    expect_error("\x0c"sv, "invalid wire type", 0);
    expect_error("\x08\x01\x0e"sv, "invalid wire type", 2, 1);
    expect_error("\x0f"sv, "invalid wire type", 0);
}

// Errors in nested messages count from the start of the whole input.
TEST(Reader, NestedErrors) {
    const Input input("\x08\x01\x0a\x04\x12\x02\x08\x80"sv);
    wire::Error error;
    wire::Reader outer(input.view(), input.view().data(), error);
    wire::Field field;
    ASSERT_TRUE(outer.next(field));
    ASSERT_TRUE(outer.next(field));
    wire::Reader middle = outer.enter(field);
    wire::Field inner_field;
    ASSERT_TRUE(middle.next(inner_field));
    wire::Reader inner = middle.enter(inner_field);
    EXPECT_FALSE(inner.next(inner_field));
    EXPECT_STREQ(error.what, "truncated number");
    EXPECT_EQ(error.offset, 7U);
    EXPECT_FALSE(middle.next(inner_field));
    EXPECT_FALSE(outer.next(field));
}

TEST(Reader, FirstErrorStays) {
    wire::Error error;
    const std::string_view bytes = "abc";
    const wire::Reader reader(bytes, bytes.data(), error);
    reader.fail("first", bytes.data() + 1);
    reader.fail("second", bytes.data());
    EXPECT_STREQ(error.what, "first");
    EXPECT_EQ(error.offset, 1U);
}

TEST(Reader, PackedNumbers) {
    const Input input("\x01\x80\x01\x00"sv);
    wire::Error error;
    wire::Reader reader(input.view(), input.view().data(), error);
    uint64_t number;
    for (const uint64_t expected : {1, 128, 0}) {
        ASSERT_TRUE(reader.next_varint(number));
        EXPECT_EQ(number, expected);
    }
    EXPECT_FALSE(reader.next_varint(number));
    EXPECT_FALSE(error);
}

TEST(Reader, ExpectedTypes) {
    const Input input(
        "\x08\x05\x12\x03"
        "a\0b\x1a\x03"
        "ab\xff"sv);
    const auto field_at = [&](size_t index) { return input.read().fields.at(index); };
    const auto check = [&](auto expect) {
        wire::Error error;
        expect(wire::Reader(input.view(), input.view().data(), error));
        return error;
    };
    const char *const wrong_type = "field of another type than the schema gives it";
    EXPECT_FALSE(check([&](auto reader) { EXPECT_EQ(wire::expect_number(reader, field_at(0), wire::kVarint), 5U); }));
    EXPECT_FALSE(check([&](auto reader) { EXPECT_EQ(wire::expect_bytes(reader, field_at(1)), "a\0b"sv); }));
    EXPECT_STREQ(check([&](auto reader) { wire::expect_number(reader, field_at(0), wire::kFixed64); }).what,
                 wrong_type);
    EXPECT_STREQ(check([&](auto reader) { wire::expect_number(reader, field_at(1), wire::kVarint); }).what, wrong_type);
    EXPECT_STREQ(check([&](auto reader) { wire::expect_bytes(reader, field_at(0)); }).what, wrong_type);
    EXPECT_STREQ(check([&](auto reader) { wire::expect_string(reader, field_at(0)); }).what, wrong_type);
}

// At the byte that is wrong.
TEST(Reader, ExpectedStrings) {
    for (const auto &[bytes, offset] : {std::pair("\x12\x03"
                                                  "a\0b"sv,
                                                  3U),
                                        std::pair("\x12\x03"
                                                  "ab\xff"sv,
                                                  4U)}) {
        const Input input(bytes);
        wire::Error error;
        wire::Reader reader(input.view(), input.view().data(), error);
        wire::Field field;
        ASSERT_TRUE(reader.next(field));
        EXPECT_EQ(wire::expect_string(reader, field), "");
        EXPECT_STREQ(error.what, "string that is not UTF-8, or holds a NUL");
        EXPECT_EQ(error.offset, offset);
    }
}

}  // namespace cdc::test

// Reading of values: the quick way that their usual form takes gives what reading field by field gives, errors
// included.
#include "random.hpp"

#include "wire/render_value.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cdc::test {

namespace {

using namespace std::string_view_literals;

struct Read {
    wire::ValueView view;
    wire::Error error;
};

// The bytes are exactly as long as they say, for AddressSanitizer to see.
Read read_value(const std::vector<char> &element) {
    Read read;
    const std::string_view bytes(element.data(), element.size());
    const wire::Reader reader(bytes, bytes.data(), read.error);
    wire::read_value(reader, bytes, read.view);
    return read;
}

// The last field of a kind that is known.
Read read_by_fields(const std::vector<char> &element) {
    Read read;
    wire::Reader fields(std::string_view(element.data(), element.size()), element.data(), read.error);
    wire::Field field;
    while (fields.next(field)) {
        if (field.number > wire::value::undecoded_text) {
            fields.fail("value of an unknown kind", field);
        }
        read.view.kind = field.number;
        read.view.payload = field;
    }
    return read;
}

// Whether the bytes are a value.
bool expect_same(std::string_view bytes) {
    const std::vector<char> element(bytes.begin(), bytes.end());
    const Read quick = read_value(element);
    const Read slow = read_by_fields(element);
    if (quick.error) {
        const wire::Field &why = slow.view.payload;
        const bool bad_absence = slow.view.kind == wire::value::absent &&
                                 (why.type != wire::kVarint || why.number_value == 0 || why.number_value > 3);
        EXPECT_TRUE(slow.error || slow.view.kind == 0 || bad_absence) << testing::PrintToString(element);
        if (slow.error) {
            EXPECT_STREQ(quick.error.what, slow.error.what);
            EXPECT_EQ(quick.error.offset, slow.error.offset);
        }
        return false;
    }
    EXPECT_FALSE(slow.error) << testing::PrintToString(element);
    EXPECT_EQ(quick.view.kind, slow.view.kind);
    EXPECT_EQ(quick.view.payload.number, slow.view.payload.number);
    EXPECT_EQ(quick.view.payload.type, slow.view.payload.type);
    EXPECT_EQ(quick.view.payload.number_value, slow.view.payload.number_value);
    EXPECT_EQ(quick.view.payload.bytes.data(), slow.view.payload.bytes.data());
    EXPECT_EQ(quick.view.payload.bytes.size(), slow.view.payload.bytes.size());
    return true;
}

}  // namespace

TEST(ValueRead, UsualForms) {
    EXPECT_TRUE(expect_same("\x08\x01"sv));                                            // NULL
    EXPECT_TRUE(expect_same("\x18\x00"sv));                                            // 0
    EXPECT_TRUE(expect_same("\x18\x96\x01"sv));                                        // 75
    EXPECT_TRUE(expect_same("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv));        // the least
    EXPECT_TRUE(expect_same("\x18\x80\x80\x80\x80\x80\x80\x80\x80\x01"sv));            // of nine bytes
    EXPECT_TRUE(expect_same("\x41\1\2\3\4\5\6\7\x88"sv));                              // a timestamp
    EXPECT_TRUE(expect_same("\x2d\1\2\3\x84"sv));                                      // float4
    EXPECT_TRUE(expect_same("\x32\0"sv));                                              // no text
    EXPECT_TRUE(expect_same("\x32\3abc"sv));                                           // text
    EXPECT_TRUE(expect_same("\x80\x01\x07"sv));                                        // oid, a tag of two bytes
    EXPECT_TRUE(expect_same(std::string("\x32\x7f") + std::string(127, 'x')));         // the longest of one byte
    EXPECT_TRUE(expect_same(std::string("\x32\x80\x01", 3) + std::string(128, 'x')));  // the shortest of two
}

TEST(ValueRead, UnusualFormsThatAreLegal) {
    EXPECT_TRUE(expect_same("\xb2\x00\3abc"sv));  // a tag that is padded
    EXPECT_TRUE(
        expect_same("\x32\x83\x00"
                    "abc"sv));                        // a length that is
    EXPECT_TRUE(expect_same("\x18\x81\x80\x00"sv));   // a number that is
    EXPECT_TRUE(expect_same("\x18\x01\x32\3abc"sv));  // two fields: the last one counts
    EXPECT_TRUE(expect_same("\x32\3abc\x18\x01"sv));
    EXPECT_TRUE(expect_same("\x30\x05"sv));  // text as a number: for whoever wants the text to refuse
}

TEST(ValueRead, Errors) {
    EXPECT_FALSE(expect_same(""sv));
    EXPECT_FALSE(expect_same("\x00"sv));
    EXPECT_FALSE(expect_same("\x02\x00"sv));  // field 0
    EXPECT_FALSE(expect_same("\x32"sv));
    EXPECT_FALSE(expect_same("\x32\4abc"sv));
    EXPECT_FALSE(expect_same("\x32\2abc"sv));  // half a field behind it
    EXPECT_FALSE(expect_same("\x18"sv));
    EXPECT_FALSE(expect_same("\x18\x80"sv));
    EXPECT_FALSE(expect_same("\x41\1\2\3\4\5\6\7"sv));
    EXPECT_FALSE(expect_same("\x33\0"sv));    // a group
    EXPECT_FALSE(expect_same("\x08\x00"sv));  // absent without a reason
    EXPECT_FALSE(expect_same("\x08\x04"sv));
    EXPECT_FALSE(expect_same("\x0a\x01\x01"sv));  // a reason in bytes
    EXPECT_FALSE(expect_same("\xb8\x01\x01"sv));  // a kind that no version has
}

TEST(ValueRead, AnyBytes) {
    Random random(20);
    int values = 0;
    for (int round = 0; round < 200000; ++round) {
        std::string bytes(random.below(14), '\0');
        for (char &byte : bytes) {
            byte = static_cast<char>(random.below(random.one_in(3) ? 256 : 20));
        }
        if (bytes.size() >= 2 && random.one_in(2)) {
            bytes[0] = static_cast<char>(wire::tag(static_cast<uint32_t>(1 + random.below(15)),
                                                   random.one_in(2) ? wire::kBytes : wire::kVarint));
            bytes[1] = static_cast<char>(bytes.size() - 2);
        }
        values += expect_same(bytes) ? 1 : 0;
    }
    EXPECT_GT(values, 40000);  // it is not about errors only
}

// What next_short() leaves alone, next() reads; and both together see each field once.
TEST(ValueRead, ShortFieldsAmongOthers) {
    const std::string_view bytes =
        "\x2a\1a"
        "\x2a\0"
        "\x32\1b"
        "\x2a\x81\x00"
        "c"
        "\x2a\1d"
        "\x2a\2e"sv;
    const std::vector<char> input(bytes.begin(), bytes.end());
    wire::Error error;
    wire::Reader reader(std::string_view(input.data(), input.size()), input.data(), error);
    std::string seen;
    for (wire::Field field;;) {
        std::string_view element;
        while (reader.next_short(0x2a, element)) {
            seen += 'q' + std::string(element);
        }
        if (!reader.next(field)) {
            break;
        }
        seen += 'f' + std::to_string(field.number) + std::string(field.bytes);
    }
    EXPECT_EQ(seen, "qaqf6bf5cqd");
    EXPECT_STREQ(error.what, "length beyond the end of the data");
    EXPECT_EQ(error.offset, 16U);
}

}  // namespace cdc::test

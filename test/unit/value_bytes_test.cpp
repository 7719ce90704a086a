// Values that are bytes or strings, round each size at which a length takes one byte more.
#include "proto.hpp"
#include "value_list.hpp"

namespace cdc::test {

namespace {

constexpr size_t kSizes[] = {0,     1,     2,     120,   121,   122,     123,     124,     125,    126,
                             127,   128,   129,   130,   16378, 16379,   16380,   16381,   16382,  16383,
                             16384, 16385, 16386, 65535, 65536, 2097147, 2097148, 2097151, 2097152};

// Writes `content` in both ways, and returns what libprotobuf reads.
template <uint32_t field>
proto::Value written(std::string_view content) {
    TightBuffer out;
    ValueList list(out, wire::change::before);
    list.bytes<field>(content);
    const std::string at_once = out.str();
    out.used = 0;
    list.late_bytes(field, content);
    EXPECT_TRUE(out.view() == at_once) << "field " << field << ", " << content.size() << " bytes";
    proto::Change change;
    parse_canonical(at_once, change);
    EXPECT_EQ(change.before_size(), 1);
    return change.before_size() == 1 ? change.before(0) : proto::Value();
}

std::string content_of(size_t size) {
    std::string content(size, '0');
    for (size_t i = 0; i < size; ++i) {
        content[i] = static_cast<char>('0' + i % 10);
    }
    return content;
}

}  // namespace

TEST(ValueBytes, EachSize) {
    for (const size_t size : kSizes) {
        const std::string content = content_of(size);
        SCOPED_TRACE(size);
        EXPECT_TRUE(written<wire::value::text>(content).text() == content);
        EXPECT_TRUE(written<wire::value::numeric>(content).numeric() == content);
        EXPECT_TRUE(written<wire::value::json>(content).json() == content);
        EXPECT_TRUE(written<wire::value::bytea>(content).bytea() == content);
        EXPECT_TRUE(written<wire::value::other_text>(content).other_text() == content);
        EXPECT_TRUE(written<wire::value::undecoded_text>(content).undecoded_text() == content);
    }
}

// An empty string is a value, not the lack of one.
TEST(ValueBytes, EmptyIsThere) {
    EXPECT_EQ(written<wire::value::text>("").kind_case(), proto::Value::kText);
    EXPECT_EQ(written<wire::value::json>("").kind_case(), proto::Value::kJson);
    EXPECT_EQ(written<wire::value::bytea>("").kind_case(), proto::Value::kBytea);
    EXPECT_EQ(written<wire::value::other_text>("").kind_case(), proto::Value::kOtherText);
    EXPECT_EQ(written<wire::value::undecoded_text>("").kind_case(), proto::Value::kUndecodedText);
}

TEST(ValueBytes, AnyByte) {
    std::string content;
    for (int c = 0; c < 256; ++c) {
        content += static_cast<char>(c);
    }
    EXPECT_EQ(written<wire::value::bytea>(content).bytea(), content);
    EXPECT_EQ(written<wire::value::undecoded_text>(content).undecoded_text(), content);
}

}  // namespace cdc::test

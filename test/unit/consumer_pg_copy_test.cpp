// Values in PostgreSQL's binary forms, and rows as the data of COPY.
#include "tight_buffer.hpp"
#include "value_list.hpp"

#include "consumer/model/failure.hpp"
#include "consumer/sink/postgres_copy.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace cdc::test {

namespace {

using consumer::BinaryForm;
using consumer::CopyEncoder;
using consumer::CorruptStream;

// Values as they stand in a batch, and the bytes that they are views of.
class Values {
 public:
    explicit Values(const std::function<void(ValueList)> &write) {
        write(ValueList(bytes_, wire::change::after));
        wire::Error error;
        wire::Reader reader(bytes_.view(), bytes_.view().data(), error);
        wire::Field field;
        while (reader.next(field)) {
            wire::ValueView view;
            EXPECT_TRUE(wire::read_value(reader, field, view)) << error.what;
            row.push_back(view);
        }
    }
    consumer::Row row;

 private:
    TightBuffer bytes_;
};

std::string hex(std::string_view bytes) {
    std::string text;
    char digits[3];
    for (const char c : bytes) {
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(static_cast<uint8_t>(c)));
        text += digits;
    }
    return text;
}

std::string binary_of(BinaryForm form, const std::function<void(ValueList)> &write) {
    TightBuffer out;
    const Values values(write);
    return consumer::put_binary(out, form, values.row.at(0)) ? hex(out.view()) : "none";
}

std::string numeric(std::string_view text) {
    return binary_of(BinaryForm::kNumeric, [&](ValueList v) { v.bytes<wire::value::numeric>(text); });
}

}  // namespace

TEST(ConsumerPgCopy, Numbers) {
    EXPECT_EQ(binary_of(BinaryForm::kBoolean, [](ValueList v) { v.boolean(true); }), "01");
    EXPECT_EQ(binary_of(BinaryForm::kInt2, [](ValueList v) { v.integer(-2); }), "fffe");
    EXPECT_EQ(binary_of(BinaryForm::kInt4, [](ValueList v) { v.integer(258); }), "00000102");
    EXPECT_EQ(binary_of(BinaryForm::kInt8, [](ValueList v) { v.integer(INT64_MIN); }), "8000000000000000");
    EXPECT_EQ(binary_of(BinaryForm::kOid, [](ValueList v) { v.oid(UINT32_MAX); }), "ffffffff");
    EXPECT_EQ(binary_of(BinaryForm::kFloat8, [](ValueList v) { v.float8(1.5); }), "3ff8000000000000");
    EXPECT_EQ(binary_of(BinaryForm::kFloat4, [](ValueList v) { v.float4(-2); }), "c0000000");
    EXPECT_THROW(binary_of(BinaryForm::kInt2, [](ValueList v) { v.integer(32768); }), CorruptStream);
    EXPECT_THROW(binary_of(BinaryForm::kInt4, [](ValueList v) { v.integer(INT64_MAX); }), CorruptStream);
}

// Count of digits, weight, sign, scale, digits.
TEST(ConsumerPgCopy, Numeric) {
    EXPECT_EQ(numeric("0"), "0000000000000000");
    EXPECT_EQ(numeric("0.00"), "0000000000000002");
    EXPECT_EQ(numeric("1"), "00010000000000000001");
    EXPECT_EQ(numeric("-1.10"),
              "000200004000000200"
              "0103e8");
    EXPECT_EQ(numeric("10000"), "00010001000000000001");
    EXPECT_EQ(numeric("123456.789"),
              "00030001000000030"
              "00c0d801ed2");
    EXPECT_EQ(numeric("0.00001"), "0001fffe0000000503e8");
    EXPECT_EQ(numeric("0.0001"), "0001ffff000000040001");
    EXPECT_EQ(numeric("00123.45"),
              "000200000000000200"
              "7b1194");
    EXPECT_EQ(numeric("NaN"), "00000000c0000000");
    EXPECT_EQ(numeric("Infinity"), "00000000d0000000");
    EXPECT_EQ(numeric("-Infinity"), "00000000f0000000");
    for (const char *const wrong : {"", "-", ".", "1.", ".5", "1e5", "1.2.3", "--1", "+1", "nan", " 1"}) {
        EXPECT_THROW(numeric(wrong), CorruptStream) << wrong;
    }
    EXPECT_THROW(numeric(std::string(200000, '1')), CorruptStream);
}

TEST(ConsumerPgCopy, Times) {
    EXPECT_EQ(binary_of(BinaryForm::kDate, [](ValueList v) { v.date(-1); }), "ffffffff");
    EXPECT_EQ(binary_of(BinaryForm::kDate, [](ValueList v) { v.infinity(wire::Infinity::kPositive); }), "7fffffff");
    EXPECT_EQ(binary_of(BinaryForm::kTimestamp, [](ValueList v) { v.timestamp(1); }), "0000000000000001");
    EXPECT_EQ(binary_of(BinaryForm::kTimestamptz, [](ValueList v) { v.infinity(wire::Infinity::kNegative); }),
              "8000000000000000");
    EXPECT_EQ(binary_of(BinaryForm::kTimeTz, [](ValueList v) { v.timetz(1, 3600); }), "0000000000000001fffff1f0");
    EXPECT_EQ(binary_of(BinaryForm::kInterval, [](ValueList v) { v.interval(1, -1, 2); }),
              "0000000000000002ffffffff00000001");
    EXPECT_EQ(binary_of(BinaryForm::kInterval, [](ValueList v) { v.infinity(wire::Infinity::kPositive); }), "none");
    EXPECT_EQ(binary_of(BinaryForm::kIntervalInfinite, [](ValueList v) { v.infinity(wire::Infinity::kNegative); }),
              "80000000000000008000000080000000");
    EXPECT_EQ(binary_of(BinaryForm::kTimestamp, [](ValueList v) { v.timestamptz(1); }), "none");
}

TEST(ConsumerPgCopy, BinaryRows) {
    CopyEncoder encoder({BinaryForm::kInt4, BinaryForm::kText, BinaryForm::kJsonb}, 7);
    consumer::Relation relation;
    relation.columns.resize(3);
    const Values values([](ValueList v) { v.integer(1).null().bytes<wire::value::json>("{}"); });
    EXPECT_STREQ(encoder.format(), "binary");
    encoder.begin();
    encoder.row(relation, values.row);
    encoder.end();
    EXPECT_EQ(hex(encoder.data()),
              "5047434f50590aff0d0a00"
              "0000000000000000"
              "0004"
              "0000000400000001"
              "ffffffff"
              "00000003017b7d"
              "0000000400000007"
              "ffff");
    const Values short_row([](ValueList v) { v.integer(1); });
    EXPECT_THROW(encoder.row(relation, short_row.row), CorruptStream);
    const Values toast([](ValueList v) { v.integer(1).absent(wire::Absent::kUnchangedToast).null(); });
    EXPECT_THROW(encoder.row(relation, toast.row), CorruptStream);
    const Values large([](ValueList v) { v.integer(1).too_large(99).null(); });
    EXPECT_THROW(encoder.row(relation, large.row), consumer::Failure);
}

TEST(ConsumerPgCopy, TextRows) {
    CopyEncoder encoder({BinaryForm::kText, BinaryForm::kNone, BinaryForm::kInt4}, std::nullopt);
    consumer::Relation relation;
    relation.columns.resize(3);
    const Values values([](ValueList v) {
        v.text("a\tb\\c\n\r").null().integer(5).text("").bytes<wire::value::other_text>("\\N").integer(-6);
    });
    EXPECT_STREQ(encoder.format(), "text");
    encoder.begin();
    encoder.row(relation, {values.row.begin(), values.row.begin() + 3});
    encoder.row(relation, {values.row.begin() + 3, values.row.end()});
    encoder.end();
    EXPECT_EQ(encoder.data(), "a\\tb\\\\c\\n\\r\t\\N\t5\n\t\\\\N\t-6\n");
}

}  // namespace cdc::test

// Values as text for PostgreSQL's input functions, and as JSON.
#include "tight_buffer.hpp"
#include "value_list.hpp"

#include "consumer/model/value_text.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <string>

namespace cdc::test {

namespace {

using consumer::CorruptStream;

// A value as it stands in a batch, and the bytes that it is a view of.
class OneValue {
 public:
    explicit OneValue(const std::function<void(ValueList)> &write) {
        write(ValueList(bytes_, wire::change::after));
        wire::Error error;
        wire::Reader reader(bytes_.view(), bytes_.view().data(), error);
        wire::Field field;
        EXPECT_TRUE(reader.next(field));
        EXPECT_TRUE(wire::read_value(reader, field, view)) << error.what;
    }
    wire::ValueView view;

 private:
    TightBuffer bytes_;
};

std::string text_of(const std::function<void(ValueList)> &write, uint32_t type_oid = 0) {
    std::string out = "<";
    consumer::append_text(out, OneValue(write).view, type_oid);
    return out.substr(1);
}

std::string json_of(const std::function<void(ValueList)> &write) {
    std::string out = "<";
    consumer::append_json(out, OneValue(write).view);
    return out.substr(1);
}

}  // namespace

TEST(ConsumerValueText, Scalars) {
    EXPECT_EQ(text_of([](ValueList v) { v.boolean(true); }), "t");
    EXPECT_EQ(text_of([](ValueList v) { v.boolean(false); }), "f");
    EXPECT_EQ(text_of([](ValueList v) { v.integer(INT64_MIN); }), "-9223372036854775808");
    EXPECT_EQ(text_of([](ValueList v) { v.oid(4294967295U); }), "4294967295");
    EXPECT_EQ(text_of([](ValueList v) { v.text("a\"b\\c"); }), "a\"b\\c");
    EXPECT_EQ(text_of([](ValueList v) { v.text(""); }), "");
    EXPECT_EQ(text_of([](ValueList v) { v.bytes<wire::value::numeric>("-1.50"); }), "-1.50");
    EXPECT_EQ(text_of([](ValueList v) { v.bytes<wire::value::bytea>(std::string_view("\0\xff", 2)); }), "\\x00ff");
    EXPECT_EQ(text_of([](ValueList v) { v.uuid("0123456789abcdef"); }), "30313233-3435-3637-3839-616263646566");
    EXPECT_EQ(text_of([](ValueList v) { v.bytes<wire::value::undecoded_text>("\xff"); }), "\xff");
}

TEST(ConsumerValueText, DatesAndTimes) {
    EXPECT_EQ(text_of([](ValueList v) { v.date(0); }), "2000-01-01");
    EXPECT_EQ(text_of([](ValueList v) { v.timestamp(1500000); }), "2000-01-01T00:00:01.5");
    EXPECT_EQ(text_of([](ValueList v) { v.timestamptz(0); }), "2000-01-01T00:00:00+00:00");
    EXPECT_EQ(text_of([](ValueList v) { v.time(86400000000); }), "24:00:00");
    EXPECT_EQ(text_of([](ValueList v) { v.timetz(3723000000, -19800); }), "01:02:03-05:30");
    EXPECT_EQ(text_of([](ValueList v) { v.interval(-14, 3, 1000000); }), "-1 years -2 mons +3 days 00:00:01");
    EXPECT_EQ(text_of([](ValueList v) { v.infinity(wire::Infinity::kNegative); }), "-infinity");
}

TEST(ConsumerValueText, Floats) {
    EXPECT_EQ(text_of([](ValueList v) { v.float8(0.1); }), "0.1");
    EXPECT_EQ(text_of([](ValueList v) { v.float4(0.1F); }), "0.1");
    EXPECT_EQ(text_of([](ValueList v) { v.float8(-0.0); }), "-0");
    EXPECT_EQ(text_of([](ValueList v) { v.float8(std::nan("")); }), "NaN");
    EXPECT_EQ(text_of([](ValueList v) { v.float8(-std::numeric_limits<double>::infinity()); }), "-Infinity");
    EXPECT_EQ(text_of([](ValueList v) { v.float4(std::numeric_limits<float>::infinity()); }), "Infinity");
    for (const double number : {1e300, 5e-324, 123456789012345680.0, std::numeric_limits<double>::max()}) {
        EXPECT_EQ(std::strtod(text_of([&](ValueList v) { v.float8(number); }).c_str(), nullptr), number);
    }
}

TEST(ConsumerValueText, Arrays) {
    EXPECT_EQ(text_of([](ValueList v) { v.array({}, {}, [](ValueList) {}); }), "{}");
    EXPECT_EQ(text_of([](ValueList v) { v.array({0}, {}, [](ValueList) {}); }), "{}");
    EXPECT_EQ(text_of([](ValueList v) { v.array({3}, {}, [](ValueList e) { e.integer(1).null().integer(-3); }); }),
              "{1,NULL,-3}");
    EXPECT_EQ(text_of([](ValueList v) {
                  v.array({5}, {}, [](ValueList e) { e.text("").text("null").text("a\"b\\").text("{,}").text(" "); });
              }),
              R"({"","null","a\"b\\","{,}"," "})");
    EXPECT_EQ(text_of([](ValueList v) {
                  v.array({2, 2}, {}, [](ValueList e) { e.integer(1).integer(2).integer(3).integer(4); });
              }),
              "{{1,2},{3,4}}");
    EXPECT_EQ(text_of([](ValueList v) {
                  v.array({2, 1}, {0, -5}, [](ValueList e) { e.boolean(true).boolean(false); });
              }),
              "[0:1][-5:-5]={{t},{f}}");
    EXPECT_EQ(text_of([](ValueList v) { v.array({1}, {}, [](ValueList e) { e.bytes<wire::value::bytea>("\x01"); }); }),
              R"({"\\x01"})");
    EXPECT_EQ(text_of([](ValueList v) { v.array({1}, {}, [](ValueList e) { e.timestamp(0); }); }),
              R"({"2000-01-01T00:00:00"})");
    EXPECT_EQ(text_of([](ValueList v) { v.array({2}, {}, [](ValueList e) { e.float8(std::nan("")).float8(1.5); }); }),
              "{NaN,1.5}");
}

// An element that is itself an array (of a domain over one), and types whose text is not like that of other arrays.
TEST(ConsumerValueText, OddArrays) {
    const auto nested = [](ValueList v) {
        v.array({1}, {}, [](ValueList e) { e.array({1}, {}, [](ValueList inner) { inner.text("a"); }); });
    };
    EXPECT_EQ(text_of(nested), R"({"{\"a\"}"})");
    const auto boxes = [](ValueList v) {
        v.array({2}, {}, [](ValueList e) { e.bytes<wire::value::other_text>("(1,2),(0,0)").null(); });
    };
    EXPECT_EQ(text_of(boxes, 1020), R"box({"(1,2),(0,0)";NULL})box");
    EXPECT_EQ(text_of([](ValueList v) { v.array({2}, {0}, [](ValueList e) { e.integer(7).integer(8); }); }, 22), "7 8");
}

TEST(ConsumerValueText, DamagedArrays) {
    const auto damaged = [](const std::vector<uint32_t> &dimensions, const std::vector<int32_t> &bounds) {
        text_of([&](ValueList v) { v.array(dimensions, bounds, [](ValueList e) { e.integer(1).integer(2); }); });
    };
    EXPECT_NO_THROW(damaged({2}, {2147483646}));
    EXPECT_THROW(damaged({2}, {2147483647}), CorruptStream);
    EXPECT_THROW(damaged({3}, {}), CorruptStream);
    EXPECT_THROW(damaged({}, {}), CorruptStream);
    EXPECT_THROW(damaged({2}, {1, 1}), CorruptStream);
    EXPECT_THROW(damaged({4294967295U, 4294967295U}, {}), CorruptStream);
    EXPECT_THROW(damaged({1, 1, 1, 1, 1, 1, 2}, {}), CorruptStream);
}

TEST(ConsumerValueText, DamagedScalars) {
    EXPECT_THROW(text_of([](ValueList v) { v.null(); }), CorruptStream);
    EXPECT_THROW(text_of([](ValueList v) { v.too_large(5); }), CorruptStream);
    EXPECT_THROW(text_of([](ValueList v) { v.time(86400000001); }), CorruptStream);
    EXPECT_THROW(text_of([](ValueList v) { v.text(std::string_view("12345678\0", 9)); }), CorruptStream);
    EXPECT_THROW(text_of([](ValueList v) { v.text("1234567\xff"); }), CorruptStream);
    EXPECT_THROW(text_of([](ValueList v) { v.bytes<wire::value::uuid>("short"); }), CorruptStream);
    EXPECT_NO_THROW(text_of([](ValueList v) { v.text("1234567é1234567"); }));
    OneValue number([](ValueList v) { v.integer(1); });
    EXPECT_THROW(consumer::bytes_of(number.view), CorruptStream);
    EXPECT_THROW(consumer::float8_of(number.view), CorruptStream);
    OneValue text([](ValueList v) { v.text("1"); });
    EXPECT_THROW(consumer::integer_of(text.view), CorruptStream);
    EXPECT_THROW(consumer::bool_of(text.view), CorruptStream);
}

TEST(ConsumerValueText, Json) {
    EXPECT_EQ(json_of([](ValueList v) { v.null(); }), "null");
    EXPECT_EQ(json_of([](ValueList v) { v.text("a\"\n"); }), R"("a\"\n")");
    EXPECT_EQ(json_of([](ValueList v) { v.array({2}, {0}, [](ValueList e) { e.integer(1).null(); }); }), "[1,null]");
    EXPECT_EQ(json_of([](ValueList v) { v.bytes<wire::value::json>("{\"a\": 1.50}"); }), "{\"a\": 1.50}");
    EXPECT_EQ(json_of([](ValueList v) { v.text(std::string(100000, 'x')); }), '"' + std::string(100000, 'x') + '"');
    EXPECT_THROW(json_of([](ValueList v) { v.bytes<wire::value::json>("{"); }), CorruptStream);
}

}  // namespace cdc::test

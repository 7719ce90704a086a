// Each kind of value as JSON, as to_jsonb() prints it.
#include "render_proto.hpp"

namespace cdc::test {

namespace {

struct Case {
    const char *value;  // in protobuf's text format
    const char *json;
};

void expect_all(const std::vector<Case> &cases) {
    for (const Case &c : cases) {
        EXPECT_EQ(value_json(c.value), c.json) << c.value;
    }
}

}  // namespace

TEST(RenderValue, Absent) {
    expect_all({{"absent: ABSENT_NULL", "null"},
                {"absent: ABSENT_UNCHANGED_TOAST", "null"},
                {"absent: ABSENT_NOT_IN_REPLICA_IDENTITY", "null"},
                {"absent: ABSENT_UNSPECIFIED", "error: value absent for an unknown reason"},
                {"", "error: value without a kind"}});
}

TEST(RenderValue, Numbers) {
    expect_all({{"boolean: true", "true"},
                {"boolean: false", "false"},
                {"integer: 0", "0"},
                {"integer: -1", "-1"},
                {"integer: 9223372036854775807", "9223372036854775807"},
                {"integer: -9223372036854775808", "-9223372036854775808"},
                {"oid: 0", "0"},
                {"oid: 4294967295", "4294967295"},
                {"float8: 0", "0"},
                {"float8: -0", "-0"},
                {"float8: 0.1", "0.1"},
                {"float8: 1e300", "1e+300"},
                {"float8: 5e-324", "5e-324"},
                {"float8: 123456789.125", "123456789.125"},
                {"float8: nan", R"("NaN")"},
                {"float8: inf", R"("Infinity")"},
                {"float8: -inf", R"("-Infinity")"},
                {"float4: 0.1", "0.1"},
                {"float4: -1.5", "-1.5"},
                {"float4: nan", R"("NaN")"},
                {"float4: -inf", R"("-Infinity")"}});
}

TEST(RenderValue, Numeric) {
    expect_all({{"numeric: '0'", "0"},
                {"numeric: '-0.00'", "-0.00"},
                {"numeric: '12345678901234567890.12345678901234567890'", "12345678901234567890.12345678901234567890"},
                {"numeric: 'NaN'", R"("NaN")"},
                {"numeric: 'Infinity'", R"("Infinity")"},
                {"numeric: '-Infinity'", R"("-Infinity")"}});
    for (const char *text : {"", "-", "00", "01", "-01", ".5", "5.", "1e5", "+1", " 1", "1 ", "nan", "Inf", "1,2",
                             "0x1", "1.2.3", "--1", "\\\"", "1\\n"}) {
        EXPECT_EQ(value_json(std::string("numeric: '") + text + "'"), "error: numeric that is not a number") << text;
    }
}

TEST(RenderValue, Text) {
    expect_all({{"text: ''", R"("")"},
                {R"(text: "a\"b\\c\n\001")", R"("a\"b\\c\n\u0001")"},
                {"text: 'é😀'", "\"é😀\""},
                {"other_text: '(1,2)'", "\"(1,2)\""}});
    EXPECT_EQ(value_json("text: 'é😀'", kOtherEncoding), R"("\u00e9\ud83d\ude00")");
    EXPECT_EQ(value_json("other_text: 'é'", kOtherEncoding), R"("\u00e9")");
    EXPECT_EQ(value_json(R"(text: "a\000b")"), "error: string that is not UTF-8, or holds a NUL");
}

TEST(RenderValue, Bytes) {
    expect_all({{"bytea: ''", R"("\\x")"},
                {R"(bytea: "\000\177\377a")", R"("\\x007fff61")"},
                {R"(undecoded_text: "\377a")", R"("\\xff61")"},
                {"uuid: '0123456789abcdef'", R"("30313233-3435-3637-3839-616263646566")"},
                {"uuid: '0123456789abcde'", "error: uuid that is not 16 bytes long"},
                {"uuid: ''", "error: uuid that is not 16 bytes long"}});
}

TEST(RenderValue, Json) {
    expect_all({{R"(json: '{"a": [1.50,\n null]}')", R"({"a": [1.50, null]})"},
                {R"(json: '"\\u0000"')", R"("\"\\u0000\"")"},
                {"json: '1e1000'", R"("1e1000")"},
                {"json: '{'", "error: json value that is not JSON"},
                {"json: ''", "error: json value that is not JSON"}});
    EXPECT_EQ(value_json("json: '[\"é\"]'", kOtherEncoding), R"(["\u00e9"])");
    EXPECT_EQ(value_json("json: '[\"é\"]'", kSqlAscii), R"(["é"])");
    EXPECT_EQ(value_json(R"(json: '"\\u00e9"')", kUtf8), R"("\u00e9")");
    EXPECT_EQ(value_json(R"(json: '"\\u00e9"')", kOtherEncoding), R"("\"\\u00e9\"")");
    EXPECT_EQ(value_json(R"(json: '"\\u00e9"')", kSqlAscii), R"("\"\\u00e9\"")");
}

// Of our own records, nothing is refused that a server could have stored.
TEST(RenderValue, Lenient) {
    EXPECT_EQ(value_json(R"(text: "a\000b")", kLenient), R"("\\x610062")");
    EXPECT_EQ(value_json(R"(other_text: "a\000b")", kLenient), R"("\\x610062")");
    EXPECT_EQ(value_json(R"(json: "\000")", kLenient), R"("\\x00")");
    EXPECT_EQ(value_json("json: '{'", kLenient), R"("{")");
    EXPECT_EQ(value_json("json: '[1]'", kLenient), "[1]");
    EXPECT_EQ(value_json("text: 'é'", kLenient), "\"é\"");
    EXPECT_EQ(value_json("numeric: 'x'", kLenient), "error: numeric that is not a number");
}

// What PostgreSQL stores must be rendered in some way, however deep it is: an error would stop a slot.
TEST(RenderValue, DeepJson) {
    proto::Value value;
    value.set_json(std::string(14522, '[') + std::string(14522, ']'));
    EXPECT_EQ(value_json(value), "\"" + value.json() + "\"");
}

TEST(RenderValue, DatesAndTimes) {
    expect_all({{"date_days: 0", R"("2000-01-01")"},
                {"date_days: -730120", R"("0001-12-31 BC")"},
                {"timestamp_micros: -1", R"("1999-12-31T23:59:59.999999")"},
                {"timestamptz_micros: 100000", R"("2000-01-01T00:00:00.1+00:00")"},
                {"timestamptz_micros: -211813488000000000", R"("4714-11-24T00:00:00+00:00 BC")"},
                {"time_micros: 0", R"("00:00:00")"},
                {"time_micros: 86400000000", R"("24:00:00")"},
                {"time_micros: 86400000001", "error: time of day out of range"},
                {"time_micros: -1", "error: time of day out of range"},
                {"timetz { }", R"("00:00:00+00")"},
                {"timetz { micros: 3723000000 utc_offset_seconds: -19800 }", R"("01:02:03-05:30")"},
                {"timetz { micros: -1 }", "error: time of day out of range"},
                {"interval { }", R"("00:00:00")"},
                {"interval { months: -14 days: 3 micros: 3723000000 }", R"("-1 years -2 mons +3 days 01:02:03")"},
                {"infinity: INFINITY_POSITIVE", R"("infinity")"},
                {"infinity: INFINITY_NEGATIVE", R"("-infinity")"},
                {"infinity: INFINITY_UNSPECIFIED", "error: infinity of an unknown sign"}});
}

// Days, months and zones have 32 bits; a varint may have more.
TEST(RenderValue, BeyondTheRangeOfTheType) {
    const char *const error = "error: number out of the range of its type";
    const uint64_t too_much = uint64_t{1} << 33;
    proto::Value date;
    date.GetReflection()->MutableUnknownFields(&date)->AddVarint(wire::value::date_days, too_much);
    EXPECT_EQ(value_json(date), error);
    proto::Value timetz = from_text<proto::Value>("timetz { }");
    proto::TimeTz &time = *timetz.mutable_timetz();
    time.GetReflection()->MutableUnknownFields(&time)->AddVarint(wire::timetz::utc_offset_seconds, too_much);
    EXPECT_EQ(value_json(timetz), error);
    for (const int part : {wire::interval::months, wire::interval::days}) {
        proto::Value value = from_text<proto::Value>("interval { }");
        proto::Interval &interval = *value.mutable_interval();
        interval.GetReflection()->MutableUnknownFields(&interval)->AddVarint(part, too_much);
        EXPECT_EQ(value_json(value), error);
    }
}

TEST(RenderValue, TooLarge) {
    EXPECT_EQ(value_json("too_large_bytes: 300000000"), "null");
}

TEST(RenderValue, Arrays) {
    expect_all({{"array { dimensions: 1 elements { integer: 1 } }", "[1]"},
                {"array { dimensions: 3 lower_bounds: -5 elements { text: 'a' } elements { absent: ABSENT_NULL } "
                 "elements { text: '' } }",
                 R"(["a",null,""])"},
                {"array { dimensions: [2, 2] elements { integer: 1 } elements { integer: 2 } elements { integer: 3 } "
                 "elements { integer: 4 } }",
                 "[[1,2],[3,4]]"},
                {"array { dimensions: [1, 3, 1] elements { integer: 1 } elements { integer: 2 } "
                 "elements { integer: 3 } }",
                 "[[[1],[2],[3]]]"},
                {"array { dimensions: [1, 1, 1, 1, 1, 1] elements { json: '{}' } }", "[[[[[[{}]]]]]]"},
                {"array { dimensions: 1 elements { too_large_bytes: 9 } }", "[null]"}});
}

// An empty int2vector has a dimension, of length 0.
TEST(RenderValue, EmptyArrays) {
    expect_all({{"array { }", "[]"}, {"array { dimensions: 0 }", "[]"}, {"array { dimensions: [2, 0, 3] }", "[]"}});
}

// By way of domains, elements can be arrays of other lengths.
TEST(RenderValue, ArraysInArrays) {
    expect_all(
        {{"array { dimensions: 2 elements { array { } } elements { array { dimensions: [1, 2] "
          "elements { integer: 1 } elements { absent: ABSENT_NULL } } } }",
          "[[],[[1,null]]]"}});
}

TEST(RenderValue, DeepArraysInArrays) {
    const auto nested = [](int depth) {
        proto::Value value;
        proto::Value *innermost = &value;
        for (int i = 0; i < depth; ++i) {
            innermost->mutable_array()->add_dimensions(1);
            innermost = innermost->mutable_array()->add_elements();
        }
        innermost->set_integer(1);
        return value;
    };
    EXPECT_EQ(value_json(nested(100)), std::string(100, '[') + "1" + std::string(100, ']'));
    EXPECT_EQ(value_json(nested(101)), "error: arrays nested too deeply");
    EXPECT_EQ(value_json(nested(3000)), "error: arrays nested too deeply");
}

TEST(RenderValue, ImpossibleArrays) {
    expect_all(
        {{"array { dimensions: [1, 1, 1, 1, 1, 1, 1] elements { integer: 1 } }",
          "error: array of more than 6 dimensions"},
         {"array { dimensions: [4294967295, 4294967295, 4294967295] }", "error: array with an impossible dimension"},
         {"array { elements { integer: 1 } }", "error: array whose elements are not as many as its dimensions say"},
         {"array { dimensions: 2 elements { integer: 1 } }",
          "error: array whose elements are not as many as its dimensions say"},
         {"array { dimensions: 4294967295 }", "error: array whose elements are not as many as its dimensions say"},
         {"array { dimensions: 1 elements { integer: 1 } elements { integer: 2 } }",
          "error: array whose elements are not as many as its dimensions say"},
         {"array { dimensions: [0, 2] elements { integer: 1 } }",
          "error: array whose elements are not as many as its dimensions say"},
         {"array { dimensions: 1 elements { } }", "error: value without a kind"}});
}

}  // namespace cdc::test

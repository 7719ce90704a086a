// Values of fixed size, read back by libprotobuf: extremes, and defaults, which must be on the wire inside of a oneof.
#include "proto.hpp"
#include "value_list.hpp"

#include <cmath>
#include <limits>

namespace cdc::test {

namespace {

template <typename Append>
proto::Value written(Append append) {
    TightBuffer out;
    append(ValueList(out, wire::change::after));
    proto::Change change;
    parse_canonical(out.view(), change);
    EXPECT_EQ(change.after_size(), 1);
    return change.after_size() == 1 ? change.after(0) : proto::Value();
}

constexpr int64_t kIntegers[] = {0,         1,         -1,        63,        64,        -64,       -65,
                                 INT16_MAX, INT16_MIN, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, INT64_MIN + 1};
constexpr uint64_t kUnsigned[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};

}  // namespace

TEST(Value, Absent) {
    for (const auto why : {wire::Absent::kNull, wire::Absent::kUnchangedToast, wire::Absent::kNotInReplicaIdentity}) {
        const proto::Value value = written([&](ValueList list) { list.absent(why); });
        ASSERT_EQ(value.kind_case(), proto::Value::kAbsent);
        EXPECT_EQ(value.absent(), static_cast<int>(why));
    }
}

TEST(Value, Boolean) {
    for (const bool boolean : {false, true}) {
        const proto::Value value = written([&](ValueList list) { list.boolean(boolean); });
        ASSERT_EQ(value.kind_case(), proto::Value::kBoolean);
        EXPECT_EQ(value.boolean(), boolean);
    }
}

TEST(Value, Integer) {
    for (const int64_t number : kIntegers) {
        const proto::Value value = written([&](ValueList list) { list.integer(number); });
        ASSERT_EQ(value.kind_case(), proto::Value::kInteger);
        EXPECT_EQ(value.integer(), number);
    }
}

TEST(Value, Oid) {
    for (const uint32_t number : {0U, 1U, 127U, 128U, 16384U, UINT32_MAX}) {
        const proto::Value value = written([&](ValueList list) { list.oid(number); });
        ASSERT_EQ(value.kind_case(), proto::Value::kOid);
        EXPECT_EQ(value.oid(), number);
    }
}

TEST(Value, Float8) {
    using Limits = std::numeric_limits<double>;
    for (const double number : {0.0, -0.0, 0.1, Limits::max(), Limits::denorm_min(), Limits::infinity(),
                                -Limits::infinity(), Limits::quiet_NaN()}) {
        const proto::Value value = written([&](ValueList list) { list.float8(number); });
        ASSERT_EQ(value.kind_case(), proto::Value::kFloat8);
        const double read = value.float8();
        EXPECT_EQ(memcmp(&read, &number, sizeof number), 0) << number;
    }
}

TEST(Value, Float4) {
    using Limits = std::numeric_limits<float>;
    for (const float number : {0.0F, -0.0F, 0.1F, Limits::max(), Limits::denorm_min(), Limits::infinity(),
                               -Limits::infinity(), Limits::quiet_NaN()}) {
        const proto::Value value = written([&](ValueList list) { list.float4(number); });
        ASSERT_EQ(value.kind_case(), proto::Value::kFloat4);
        const float read = value.float4();
        EXPECT_EQ(memcmp(&read, &number, sizeof number), 0) << number;
    }
}

TEST(Value, Timestamps) {
    for (const int64_t micros : kIntegers) {
        const proto::Value local = written([&](ValueList list) { list.timestamp(micros); });
        ASSERT_EQ(local.kind_case(), proto::Value::kTimestampMicros);
        EXPECT_EQ(local.timestamp_micros(), micros);
        const proto::Value zoned = written([&](ValueList list) { list.timestamptz(micros); });
        ASSERT_EQ(zoned.kind_case(), proto::Value::kTimestamptzMicros);
        EXPECT_EQ(zoned.timestamptz_micros(), micros);
    }
}

TEST(Value, Date) {
    for (const int32_t days : {0, 1, -1, -2451545, 2145031948, INT32_MAX, INT32_MIN}) {
        const proto::Value value = written([&](ValueList list) { list.date(days); });
        ASSERT_EQ(value.kind_case(), proto::Value::kDateDays);
        EXPECT_EQ(value.date_days(), days);
    }
}

TEST(Value, Time) {
    for (const int64_t micros : {int64_t{0}, int64_t{1}, int64_t{86400000000}, INT64_MAX, INT64_MIN}) {
        const proto::Value value = written([&](ValueList list) { list.time(micros); });
        ASSERT_EQ(value.kind_case(), proto::Value::kTimeMicros);
        EXPECT_EQ(value.time_micros(), micros);
    }
}

TEST(Value, TimeTz) {
    for (const int64_t micros : {int64_t{0}, int64_t{1}, int64_t{86400000000}, INT64_MAX, INT64_MIN}) {
        for (const int32_t offset : {0, 1, -1, 57599, -57599, INT32_MAX, INT32_MIN}) {
            const proto::Value value = written([&](ValueList list) { list.timetz(micros, offset); });
            ASSERT_EQ(value.kind_case(), proto::Value::kTimetz);
            EXPECT_EQ(value.timetz().micros(), micros);
            EXPECT_EQ(value.timetz().utc_offset_seconds(), offset);
        }
    }
}

TEST(Value, Interval) {
    constexpr int32_t kParts[] = {0, 1, -1, 14, INT32_MAX, INT32_MIN};
    for (const int32_t months : kParts) {
        for (const int32_t days : kParts) {
            for (const int64_t micros : {int64_t{0}, int64_t{-1}, INT64_MAX, INT64_MIN}) {
                const proto::Value value = written([&](ValueList list) { list.interval(months, days, micros); });
                ASSERT_EQ(value.kind_case(), proto::Value::kInterval);
                EXPECT_EQ(value.interval().months(), months);
                EXPECT_EQ(value.interval().days(), days);
                EXPECT_EQ(value.interval().micros(), micros);
            }
        }
    }
}

TEST(Value, Infinity) {
    for (const auto which : {wire::Infinity::kPositive, wire::Infinity::kNegative}) {
        const proto::Value value = written([&](ValueList list) { list.infinity(which); });
        ASSERT_EQ(value.kind_case(), proto::Value::kInfinity);
        EXPECT_EQ(value.infinity(), static_cast<int>(which));
    }
}

TEST(Value, TooLarge) {
    for (const uint64_t size : kUnsigned) {
        const proto::Value value = written([&](ValueList list) { list.too_large(size); });
        ASSERT_EQ(value.kind_case(), proto::Value::kTooLargeBytes);
        EXPECT_EQ(value.too_large_bytes(), size);
    }
}

TEST(Value, Uuid) {
    const proto::Value value = written(
        [](ValueList list) { list.uuid(std::string_view("\0\1\2\3\4\5\6\7\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16)); });
    ASSERT_EQ(value.kind_case(), proto::Value::kUuid);
    EXPECT_EQ(value.uuid(), std::string("\0\1\2\3\4\5\6\7\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16));
}

}  // namespace cdc::test

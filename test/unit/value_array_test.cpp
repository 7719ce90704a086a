// Arrays, as they are nested into rows: dimensions, lower bounds, NULL elements, sizes round the edges.
#include "proto.hpp"
#include "random.hpp"
#include "value_list.hpp"

namespace cdc::test {

namespace {

template <typename Elements>
proto::Array written(const std::vector<uint32_t> &dimensions, const std::vector<int32_t> &lower_bounds,
                     Elements elements, size_t expected_size = 8) {
    TightBuffer out;
    ValueList(out, wire::change::after).array(dimensions, lower_bounds, elements, expected_size);
    proto::Change change;
    parse_canonical(out.view(), change);
    EXPECT_EQ(change.after_size(), 1);
    if (change.after_size() != 1 || !change.after(0).has_array()) {
        ADD_FAILURE() << "not an array: " << change.ShortDebugString();
        return proto::Array();
    }
    return change.after(0).array();
}

std::vector<uint32_t> dimensions_of(const proto::Array &array) {
    return {array.dimensions().begin(), array.dimensions().end()};
}

std::vector<int32_t> bounds_of(const proto::Array &array) {
    return {array.lower_bounds().begin(), array.lower_bounds().end()};
}

}  // namespace

TEST(ValueArray, Empty) {
    const proto::Array array = written({}, {}, [](ValueList) {});
    EXPECT_EQ(array.dimensions_size(), 0);
    EXPECT_EQ(array.elements_size(), 0);
}

TEST(ValueArray, ManyDimensions) {
    const proto::Array array = written({1, 2, 1, 3, 1, 1}, {0, -1, INT32_MIN, INT32_MAX, 1, 64}, [](ValueList list) {
        list.integer(0).integer(1).null().integer(INT64_MIN).text("").boolean(false);
    });
    EXPECT_EQ(dimensions_of(array), (std::vector<uint32_t>{1, 2, 1, 3, 1, 1}));
    EXPECT_EQ(bounds_of(array), (std::vector<int32_t>{0, -1, INT32_MIN, INT32_MAX, 1, 64}));
    ASSERT_EQ(array.elements_size(), 6);
    EXPECT_EQ(array.elements(2).absent(), proto::ABSENT_NULL);
    EXPECT_EQ(array.elements(3).integer(), INT64_MIN);
    EXPECT_EQ(array.elements(4).kind_case(), proto::Value::kText);
    EXPECT_EQ(array.elements(5).kind_case(), proto::Value::kBoolean);
}

// Long dimensions take more bytes than the guess of one.
TEST(ValueArray, LongDimensions) {
    const std::vector<uint32_t> dimensions(60, UINT32_MAX);
    EXPECT_EQ(dimensions_of(written(dimensions, {}, [](ValueList) {})), dimensions);
}

TEST(ValueArray, AnySizeAndGuess) {
    Random random;
    for (const size_t guess : {0, 100, 127, 128, 16384, 2097152}) {
        for (const size_t size : {0, 1, 100, 110, 115, 116, 117, 118, 119, 120, 125, 130, 16370, 16380, 16390}) {
            const std::string content = random.text(size);
            const proto::Array array = written(
                {2}, {}, [&](ValueList list) { list.text(content).null(); }, guess);
            ASSERT_EQ(array.elements_size(), 2);
            EXPECT_EQ(array.elements(0).text(), content);
        }
    }
}

}  // namespace cdc::test

// What is left of a table that was copied in part.
#include "../../src/consumer/model/copy_progress.hpp"

#include <gtest/gtest.h>

#include <string>

namespace cdc::test {

namespace {

using consumer::BlockRange;
using consumer::CopiedRange;

// "[0,8) [16,-)" for what is left of relation 1.
std::string left(const std::vector<CopiedRange> &ranges) {
    std::string text;
    for (const BlockRange &range : consumer::blocks_left(ranges, 1)) {
        text += (text.empty() ? "[" : " [") + std::to_string(range.first) + ',' +
                (range.end ? std::to_string(*range.end) : "-") + ')';
    }
    return text;
}

}  // namespace

TEST(ConsumerCopyProgress, WhatIsLeft) {
    EXPECT_EQ(left({}), "[0,-)");
    EXPECT_EQ(left({{2, 7, {0, {}}}}), "[0,-)");  // of another relation
    EXPECT_EQ(left({{1, 7, {0, {}}}}), "");
    EXPECT_EQ(left({{1, 7, {0, 8}}}), "[8,-)");
    EXPECT_EQ(left({{1, 7, {8, {}}}}), "[0,8)");
    EXPECT_EQ(left({{1, 7, {16, 24}}, {2, 7, {0, 8}}, {1, 7, {0, 8}}}), "[8,16) [24,-)");
    EXPECT_EQ(left({{1, 7, {8, 16}}, {1, 7, {24, {}}}, {1, 7, {0, 8}}}), "[16,24)");
    EXPECT_EQ(left({{1, 7, {0, 8}}, {1, 7, {8, 16}}, {1, 7, {16, {}}}}), "");
    // The same part twice, and parts of two sizes, as of a run with another --snapshot-chunk.
    EXPECT_EQ(left({{1, 7, {0, 8}}, {1, 7, {0, 8}}, {1, 7, {4, 12}}, {1, 7, {2, 4}}}), "[12,-)");
}

}  // namespace cdc::test

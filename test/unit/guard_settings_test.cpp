// guard_policies and guard_time_left: what is understood, and what is refused.
#include "guard/policies.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "guard/quantity.hpp"

using namespace cdc::guard;

namespace {

Policies policies(const char *text) {
    Policies parsed;
    ParseError error{};
    EXPECT_TRUE(parse_policies(text, parsed, error)) << text << ": " << error.what;
    return parsed;
}

std::string policies_error(const char *text) {
    Policies parsed;
    ParseError error{};
    EXPECT_FALSE(parse_policies(text, parsed, error)) << text;
    return std::to_string(error.offset) + " " + (error.what == nullptr ? "" : error.what);
}

TEST(GuardPolicies, NoneIsNone) {
    EXPECT_EQ(policies("").count, 0);
    EXPECT_EQ(policies(" \n").count, 0);
    EXPECT_EQ(policy_of(policies(""), "orders"), nullptr);
}

TEST(GuardPolicies, SizesAndActions) {
    const Policies parsed =
        policies("orders: cap=10GB at_cap=drop; audit_*:cap = 2 kB , at_cap = terminate;*: cap=7B;");
    ASSERT_EQ(parsed.count, 3);
    EXPECT_STREQ(parsed.list[0].slots, "orders");
    EXPECT_EQ(parsed.list[0].cap, INT64_C(10) << 30);
    EXPECT_EQ(parsed.list[0].at_cap, Action::kDrop);
    EXPECT_EQ(parsed.list[1].cap, 2048);
    EXPECT_EQ(parsed.list[1].at_cap, Action::kTerminate);
    EXPECT_EQ(parsed.list[2].cap, 7);
    EXPECT_EQ(parsed.list[2].at_cap, Action::kWarn);
}

TEST(GuardPolicies, TheFirstThatFitsIsTheSlots) {
    const Policies parsed = policies("a: cap=1B; a*b*: cap=2B; *z: cap=3B; **: cap=4B");
    EXPECT_EQ(policy_of(parsed, "a")->cap, 1);
    EXPECT_EQ(policy_of(parsed, "ab")->cap, 2);
    EXPECT_EQ(policy_of(parsed, "axxbyy")->cap, 2);
    EXPECT_EQ(policy_of(parsed, "axxz")->cap, 3);
    EXPECT_EQ(policy_of(parsed, "q")->cap, 4);
    EXPECT_EQ(policy_of(parsed, "")->cap, 4);
}

TEST(GuardPolicies, MistakesAreFoundWhereTheyAre) {
    for (const char *text : {"orders",
                             "orders:",
                             "orders: at_cap=drop",
                             "Orders: cap=1GB",
                             ": cap=1GB",
                             "a: cap=1",
                             "a: cap=0GB",
                             "a: cap=-1GB",
                             "a: cap=1XB",
                             "a: cap=1GBs",
                             "a: cap=1gb",
                             "a: cap=9999999999TB",
                             "a: cap=99999999999999999999GB",
                             "a: cap=1GB cap=2GB",
                             "a: cap=1GB at_cap=explode",
                             "a: cap=1GB at_cap=drop at_cap=drop",
                             "a: cap=1GB x=1",
                             "a: cap 1GB",
                             "a: cap=1GB b: cap=1GB",
                             "a; b",
                             ";",
                             "a: cap=1GB;;",
                             "a: cap=1GB\x01",
                             "\xff"}) {
        EXPECT_NE(policies_error(text), "0 ") << text;
    }
    EXPECT_EQ(policies_error("a: cap=1GB; b: cap=x").substr(0, 3), "19 ");
}

TEST(GuardPolicies, NamesAndListsAreBounded) {
    const std::string longest(kMaxSlotName - 1, 'a');
    EXPECT_EQ(policies((longest + ": cap=1B").c_str()).count, 1);
    policies_error((longest + "a: cap=1B").c_str());
    std::string many;
    for (int i = 0; i < kMaxPolicies; ++i) {
        many += "a: cap=1B;";
    }
    EXPECT_EQ(policies(many.c_str()).count, kMaxPolicies);
    policies_error((many + "a: cap=1B").c_str());
}

TimeLeft time_left(const char *text) {
    TimeLeft parsed;
    ParseError error{};
    EXPECT_TRUE(parse_time_left(text, parsed, error)) << text << ": " << error.what;
    return parsed;
}

TEST(GuardTimeLeft, LevelsAndUnits) {
    const TimeLeft parsed = time_left("notice=2d, warning = 20 min,critical=500ms");
    EXPECT_EQ(parsed.limit[1], 2 * 86400 * kMicros);
    EXPECT_EQ(parsed.limit[2], 1200 * kMicros);
    EXPECT_EQ(parsed.limit[3], kMicros / 2);
    EXPECT_EQ(time_left("").limit[1], 0);
    EXPECT_EQ(time_left("warning=3h").limit[1], 0);
    EXPECT_EQ(time_left("warning=3h").limit[2], 3 * 3600 * kMicros);
}

TEST(GuardTimeLeft, MistakesAreRefused) {
    for (const char *text :
         {"ok=1h", "lost=1h", "notice", "notice=", "notice=1", "notice=1y", "notice=0s", "notice=1h notice=2h",
          "notice=1h, notice=2h", "notice=1h warning=1h", "1h", "notice=99999999999999d"}) {
        TimeLeft parsed;
        ParseError error{};
        EXPECT_FALSE(parse_time_left(text, parsed, error)) << text;
        EXPECT_NE(error.what, nullptr) << text;
    }
}

TEST(GuardQuantity, SizesReadWell) {
    char text[kQuantityRoom];
    EXPECT_STREQ(format_bytes(text, 0), "0 bytes");
    EXPECT_STREQ(format_bytes(text, 1023), "1023 bytes");
    EXPECT_STREQ(format_bytes(text, 1024), "1.0 kB");
    EXPECT_STREQ(format_bytes(text, INT64_C(1) << 20), "1.0 MB");
    EXPECT_STREQ(format_bytes(text, (INT64_C(1) << 20) - 1), "1.0 MB");
    EXPECT_STREQ(format_bytes(text, 5452595), "5.2 MB");
    EXPECT_STREQ(format_bytes(text, INT64_C(100) << 30), "100 GB");
    EXPECT_STREQ(format_bytes(text, -5452595), "-5.2 MB");
    EXPECT_STREQ(format_bytes(text, INT64_MAX), "8.0 EB");
    EXPECT_STREQ(format_bytes(text, INT64_MIN), "-8.0 EB");
}

TEST(GuardQuantity, TimesReadWell) {
    char text[kQuantityRoom];
    EXPECT_STREQ(format_duration(text, 0), "0 s");
    EXPECT_STREQ(format_duration(text, 119 * kMicros), "119 s");
    EXPECT_STREQ(format_duration(text, 120 * kMicros), "2 min");
    EXPECT_STREQ(format_duration(text, 7200 * kMicros), "2 h 0 min");
    EXPECT_STREQ(format_duration(text, INT64_C(2) * 86400 * kMicros), "2 d");
    EXPECT_STREQ(format_duration(text, INT64_MAX), "106751991 d");
}

TEST(GuardWords, LevelsGoThereAndBack) {
    for (int i = 0; i < kLevels; ++i) {
        Level level;
        ASSERT_TRUE(parse_word(word(static_cast<Level>(i)), level));
        EXPECT_EQ(static_cast<int>(level), i);
    }
    Level level;
    EXPECT_FALSE(parse_word("", level));
    EXPECT_FALSE(parse_word("Ok", level));
}

TEST(GuardWords, EachCauseHasOneOfItsOwn) {
    std::set<std::string> words;
    for (int i = 0; i < kCauses; ++i) {
        const char *const cause = word(static_cast<Cause>(i));
        ASSERT_NE(cause, nullptr) << i;
        EXPECT_TRUE(words.insert(cause).second) << cause;
    }
}

}  // namespace

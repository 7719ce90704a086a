// Lists of patterns: escapes, dots, white space, stars; and that no pattern takes long.
#include "plugin/pattern.hpp"

#include "plugin/options.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace cdc::test {

namespace {

using plugin::check_patterns;
using plugin::matches_prefix;
using plugin::matches_table;

// The same question, answered by trying everything.
bool brute_force(std::string_view pattern, std::string_view name) {
    if (pattern.empty()) {
        return name.empty();
    }
    if (pattern[0] == '*') {
        return brute_force(pattern.substr(1), name) || (!name.empty() && brute_force(pattern, name.substr(1)));
    }
    const size_t literal = pattern[0] == '\\' ? 1 : 0;
    return !name.empty() && name[0] == pattern[literal] && brute_force(pattern.substr(literal + 1), name.substr(1));
}

// All strings over an alphabet, up to a length.
std::vector<std::string> all_strings(const std::string &alphabet, size_t length) {
    std::vector<std::string> strings = {""};
    for (size_t i = 0; i < strings.size(); ++i) {
        if (strings[i].size() < length) {
            for (const char c : alphabet) {
                strings.push_back(strings[i] + c);
            }
        }
    }
    return strings;
}

std::string escaped(const std::string &name) {
    std::string pattern;
    for (const char c : name) {
        pattern += '\\';
        pattern += c;
    }
    return pattern;
}

}  // namespace

TEST(Pattern, CheckTables) {
    for (const char *list : {"a.b", "*.*", " a.b , c.d ", "a\\.b.c", "a.b\\,c", "a.\\*", "a\\\\.b", "a.b\\ ", "\\ .\\ ",
                             "\t\na.b\r", "é.😀", "a b.c d"}) {
        EXPECT_EQ(check_patterns(list, 2), nullptr) << list;
    }
    EXPECT_STREQ(check_patterns("", 2), "A pattern in the list is empty.");
    EXPECT_STREQ(check_patterns("a.b, ,c.d", 2), "A pattern in the list is empty.");
    EXPECT_STREQ(check_patterns("a.b,", 2), "A pattern in the list is empty.");
    EXPECT_STREQ(check_patterns("a.b\\", 2), "A pattern ends with a backslash, which has nothing to escape.");
    EXPECT_STREQ(check_patterns("\\", 2), "A pattern ends with a backslash, which has nothing to escape.");
    EXPECT_STREQ(check_patterns("a.", 2), "A pattern has an empty schema or table.");
    EXPECT_STREQ(check_patterns(".a", 2), "A pattern has an empty schema or table.");
    EXPECT_STREQ(check_patterns("a..b", 2), "A pattern has an empty schema or table.");
    EXPECT_STREQ(check_patterns("a", 2), "A pattern is not of the form schema.table.");
    EXPECT_STREQ(check_patterns("a\\.b", 2), "A pattern is not of the form schema.table.");
    EXPECT_STREQ(check_patterns("a.b.c", 2), "A pattern is not of the form schema.table.");
}

// A backslash in front of a comma escapes it, and so the list goes on behind it.
TEST(Pattern, CheckPrefixes) {
    for (const char *list : {"a", "a.b.c", ".", "a\\,", "\\\\", "*"}) {
        EXPECT_EQ(check_patterns(list, 1), nullptr) << list;
    }
    EXPECT_STREQ(check_patterns("a, ", 1), "A pattern in the list is empty.");
    EXPECT_STREQ(check_patterns("a,b\\", 1), "A pattern ends with a backslash, which has nothing to escape.");
}

TEST(Pattern, Tables) {
    EXPECT_TRUE(matches_table("public.orders", "public", "orders"));
    EXPECT_FALSE(matches_table("public.orders", "public", "orders2"));
    EXPECT_FALSE(matches_table("public.orders", "public2", "orders"));
    EXPECT_TRUE(matches_table("a.b, public.order*", "public", "order"));
    EXPECT_TRUE(matches_table("*.*_log", "any", "x_log"));
    EXPECT_FALSE(matches_table("*.*_log", "any", "x_logs"));
    EXPECT_TRUE(matches_table("  \n public.orders\t,x.y", "public", "orders"));
    EXPECT_TRUE(matches_table("a.b,c.d,e.f", "e", "f"));
}

// A star stays in its part; a dot in a name has to be escaped.
TEST(Pattern, Dots) {
    EXPECT_TRUE(matches_table("public.v1\\.2", "public", "v1.2"));
    EXPECT_FALSE(matches_table("public.v1\\.2", "public.v1", "2"));
    EXPECT_TRUE(matches_table("public.*", "public", "v1.2"));
    EXPECT_FALSE(matches_table("*.x", "a", "b.x"));
    EXPECT_TRUE(matches_prefix("a.b", "a.b"));
    EXPECT_TRUE(matches_prefix("a*c", "a.b.c"));
}

TEST(Pattern, Escapes) {
    EXPECT_TRUE(matches_prefix("a\\*b", "a*b"));
    EXPECT_FALSE(matches_prefix("a\\*b", "axb"));
    EXPECT_TRUE(matches_prefix("a\\,b", "a,b"));
    EXPECT_FALSE(matches_prefix("a\\,b", "a\\"));
    EXPECT_FALSE(matches_prefix("a\\,b", "b"));
    EXPECT_TRUE(matches_prefix("a\\\\", "a\\"));
    EXPECT_TRUE(matches_prefix("a\\\\,b", "b"));
    EXPECT_TRUE(matches_prefix("\\a", "a"));
    EXPECT_TRUE(matches_prefix(" \\ a\\  ", " a "));
    EXPECT_TRUE(matches_prefix("a\\\\ ", "a\\"));
    EXPECT_TRUE(matches_table("\\.\\..\\*", "..", "*"));
}

TEST(Pattern, EmptyNames) {
    EXPECT_TRUE(matches_prefix("*", ""));
    EXPECT_TRUE(matches_prefix("**", ""));
    EXPECT_FALSE(matches_prefix("a", ""));
    EXPECT_TRUE(matches_table("*.*", "", ""));
}

// All short patterns on all short names.
TEST(Pattern, AgreesWithBruteForce) {
    const std::vector<std::string> names = all_strings("ab*", 4);
    for (const std::string &pattern : all_strings("ab*\\", 5)) {
        if (check_patterns(pattern, 1) != nullptr) {
            continue;
        }
        for (const std::string &name : names) {
            ASSERT_EQ(matches_prefix(pattern, name), brute_force(pattern, name)) << pattern << " on " << name;
        }
    }
}

// Any name can be named.
TEST(Pattern, EscapedNames) {
    const std::vector<std::string> names = all_strings("a.,* \\", 3);
    for (const std::string &schema : names) {
        if (schema.empty()) {
            continue;
        }
        const std::string pattern = escaped(schema) + "." + escaped("t" + schema);
        ASSERT_EQ(check_patterns(pattern, 2), nullptr) << pattern;
        for (const std::string &other : names) {
            ASSERT_EQ(matches_table(pattern, other, "t" + schema), other == schema) << pattern << " on " << other;
            ASSERT_EQ(matches_table(pattern, schema, "t" + other), other == schema) << pattern << " on " << other;
        }
    }
}

// Many stars, and a name that almost matches.
TEST(Pattern, TimeIsBounded) {
    std::string pattern;
    for (int i = 0; i < 1000; ++i) {
        pattern += "*a";
    }
    const std::string name(4000, 'a');
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(matches_prefix(pattern, name));
    EXPECT_FALSE(matches_prefix(pattern + "b", name));
    EXPECT_FALSE(matches_prefix("*" + std::string(1000, 'a') + "b", name));
    EXPECT_TRUE(matches_prefix(std::string(100000, '*'), name));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

}  // namespace cdc::test

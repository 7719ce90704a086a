// Which texts are JSON, and which of those jsonb takes. What jsonb takes was tried with PostgreSQL.
#include "wire/json.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>

namespace cdc::test {

namespace {

using wire::check_json;
using wire::JsonCheck;

std::string repeat(const char *text, size_t times) {
    std::string result;
    while (times-- > 0) {
        result += text;
    }
    return result;
}

std::string nested_arrays(size_t depth) {
    return repeat("[", depth) + repeat("]", depth);
}

std::string nested_objects(size_t depth) {
    return repeat("{\"a\":", depth) + "1" + repeat("}", depth);
}

}  // namespace

TEST(JsonCheck, Valid) {
    for (const char *text : {"0",
                             "-0",
                             "1",
                             "-12.50",
                             "1e5",
                             "1E+5",
                             "1e-05",
                             "0.0e0",
                             "true",
                             "false",
                             "null",
                             "\"\"",
                             "\"a\"",
                             R"("\"\\\/\b\f\n\r\t")",
                             R"("\u0041")",
                             R"("\u00e9\u20ac\ud83d\ude00")",
                             "\"\x7f é\"",
                             "[]",
                             "[ ]",
                             "{}",
                             " { } ",
                             "[1,2]",
                             "[[],{},[[1]]]",
                             R"({"a":1,"a":{"":[null]}})",
                             "\t\n\r [\n1\t,\r2 ]\n",
                             R"({ "a" : 1 , "b" : [ true , false ] })",
                             "1e999",
                             "-1.5e-999",
                             R"(["a",{"b":[{"c":"d"}]},"e"])"}) {
        EXPECT_EQ(check_json(text, true), JsonCheck::kJsonb) << text;
    }
}

TEST(JsonCheck, Invalid) {
    for (const char *text : {"",
                             " ",
                             "nul",
                             "nulll",
                             "tru e",
                             "True",
                             "NaN",
                             "Infinity",
                             "-",
                             "+1",
                             "01",
                             "-01",
                             "1.",
                             ".5",
                             "1.e5",
                             "1e",
                             "1e+",
                             "1e5.0",
                             "0x10",
                             "--1",
                             "1 2",
                             "\"",
                             "\"a",
                             "'a'",
                             R"("\x")",
                             R"("\u12")",
                             R"("\u12g4")",
                             "\"\\",
                             "\"\n\"",
                             "\"\x01\"",
                             "[",
                             "]",
                             "[1",
                             "[1,",
                             "[1,]",
                             "[,1]",
                             "[1 2]",
                             "[1}",
                             "{",
                             "}",
                             "{]",
                             "{1:2}",
                             "{\"a\"}",
                             "{\"a\":}",
                             "{\"a\":1,}",
                             "{\"a\" 1}",
                             "{\"a\":1 \"b\":2}",
                             "{,}",
                             "{\"a\":1]",
                             "[1]]",
                             "[]{}",
                             "{}1",
                             "a",
                             "[a]",
                             "{a:1}",
                             "//",
                             "[1]/**/",
                             "\v1",
                             "\xef\xbb\xbf"
                             "1"}) {
        EXPECT_EQ(check_json(text, true), JsonCheck::kInvalid) << text;
        EXPECT_EQ(check_json(text, false), JsonCheck::kInvalid) << text;
    }
    EXPECT_EQ(check_json(std::string_view("1\0", 2), true), JsonCheck::kInvalid);
    EXPECT_EQ(check_json(std::string_view("\"\\\0\"", 4), true), JsonCheck::kInvalid);
}

TEST(JsonCheck, RefusedByJsonb) {
    for (const char *text :
         {R"("\u0000")", R"({"\u0000":1})", R"("\ud800")", R"("\udc00")", R"("\ud800x")", R"("\ud800\n")",
          R"("\ud800\ud800\udc00")", R"("\ud83d\u0041")", R"("\ude00\ud83d")", "1e1000", "1e-1000", "1e+999999"}) {
        EXPECT_EQ(check_json(text, true), JsonCheck::kJsonOnly) << text;
    }
}

// numeric holds 131072 digits in front of the point, and 16383 behind it.
TEST(JsonCheck, NumbersBeyondNumeric) {
    EXPECT_EQ(check_json(repeat("9", 100000), true), JsonCheck::kJsonb);
    EXPECT_EQ(check_json(repeat("9", 131073), true), JsonCheck::kJsonOnly);
    EXPECT_EQ(check_json(repeat("9", 131072) + "e1", true), JsonCheck::kJsonOnly);
    EXPECT_EQ(check_json("0." + repeat("9", 15000), true), JsonCheck::kJsonb);
    EXPECT_EQ(check_json("0." + repeat("9", 16384), true), JsonCheck::kJsonOnly);
    EXPECT_EQ(check_json("0." + repeat("9", 16383) + "e-1", true), JsonCheck::kJsonOnly);
}

// In a database of another encoding than UTF-8, jsonb takes those of ASCII only.
TEST(JsonCheck, UnicodeEscapes) {
    EXPECT_EQ(check_json(R"("\u007f")", false), JsonCheck::kJsonb);
    EXPECT_EQ(check_json(R"("\u0080")", false), JsonCheck::kJsonOnly);
    EXPECT_EQ(check_json(R"("\ud83d\ude00")", false), JsonCheck::kJsonOnly);
    EXPECT_EQ(check_json("\"é\"", false), JsonCheck::kJsonb);
}

TEST(JsonCheck, Nesting) {
    for (const size_t depth : {1, 7, 8, 9, 63, 64, 65, 500}) {
        EXPECT_EQ(check_json(nested_arrays(depth), true), JsonCheck::kJsonb) << depth;
        EXPECT_EQ(check_json(nested_objects(depth), true), JsonCheck::kJsonb) << depth;
    }
    EXPECT_EQ(check_json(nested_arrays(501), true), JsonCheck::kJsonOnly);
    EXPECT_EQ(check_json(nested_objects(6400), true), JsonCheck::kJsonOnly);
    EXPECT_EQ(check_json(nested_arrays(6399) + "]", true), JsonCheck::kInvalid);
}

// PostgreSQL stores what is nested more than twice as deep as that: it is not an error.
TEST(JsonCheck, NestingBeyondTheChecker) {
    for (const size_t depth : {6401, 14522, 1000000}) {
        EXPECT_EQ(check_json(nested_arrays(depth), true), JsonCheck::kJsonOnly) << depth;
        EXPECT_EQ(check_json(nested_objects(depth), true), JsonCheck::kJsonOnly) << depth;
    }
}

// Each bracket is closed by its own kind, at each depth.
TEST(JsonCheck, MixedNesting) {
    std::string open;
    std::string closed;
    for (int i = 0; i < 300; ++i) {
        const bool object = i * i % 7 < 3;
        open += object ? "{\"k\":" : "[";
        closed.insert(0, object ? "}" : "]");
    }
    EXPECT_EQ(check_json(open + "1" + closed, true), JsonCheck::kJsonb);
    for (size_t i = 0; i < closed.size(); ++i) {
        std::string wrong = closed;
        wrong[i] = wrong[i] == ']' ? '}' : ']';
        EXPECT_EQ(check_json(open + "1" + wrong, true), JsonCheck::kInvalid) << i;
    }
}

// Every cut and every changed byte of a text, judged by another library as well.
TEST(JsonCheck, AgreesWithAnotherLibrary) {
    const std::string text = R"( {"a\n\u00e9":[-1.5e-3,0,true,false,null,"x\"",{}],"b":{"c":[[]]}} )";
    for (size_t i = 0; i < text.size(); ++i) {
        const std::string cut = text.substr(0, i);
        EXPECT_EQ(check_json(cut, true) != JsonCheck::kInvalid, nlohmann::json::accept(cut)) << cut;
        for (char c = 1; c < 127; ++c) {
            std::string changed = text;
            changed[i] = c;
            EXPECT_EQ(check_json(changed, true) != JsonCheck::kInvalid, nlohmann::json::accept(changed)) << changed;
        }
    }
}

}  // namespace cdc::test

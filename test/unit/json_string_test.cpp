// JSON strings as they are written, read back by another JSON library.
#include "tight_buffer.hpp"

#include "wire/json.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>

namespace cdc::test {

namespace {

std::string json_string(std::string_view text, bool ascii_only) {
    TightBuffer out;
    wire::put_json_string(out, text, ascii_only);
    return out.str();
}

std::string verbatim(std::string_view json, bool ascii_only) {
    TightBuffer out;
    wire::put_json_verbatim(out, json, ascii_only);
    return out.str();
}

std::string utf8(uint32_t code) {
    const auto byte = [](uint32_t value) { return static_cast<char>(value); };
    if (code < 0x80) {
        return {byte(code)};
    }
    if (code < 0x800) {
        return {byte(0xC0 | code >> 6), byte(0x80 | (code & 63))};
    }
    if (code < 0x10000) {
        return {byte(0xE0 | code >> 12), byte(0x80 | (code >> 6 & 63)), byte(0x80 | (code & 63))};
    }
    return {byte(0xF0 | code >> 18), byte(0x80 | (code >> 12 & 63)), byte(0x80 | (code >> 6 & 63)),
            byte(0x80 | (code & 63))};
}

bool is_ascii_line(const std::string &text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c - 0x20) < 0x60; });
}

}  // namespace

TEST(JsonString, Escapes) {
    EXPECT_EQ(json_string("", false), R"("")");
    EXPECT_EQ(json_string("plain / text", false), R"("plain / text")");
    EXPECT_EQ(json_string("\"\\\b\f\n\r\t", false), R"("\"\\\b\f\n\r\t")");
    EXPECT_EQ(json_string(std::string_view("\0\x01\x1f\x7f", 4), false), "\"\\u0000\\u0001\\u001f\x7f\"");
    EXPECT_EQ(json_string("é€😀", false), "\"é€😀\"");
    EXPECT_EQ(json_string("é€😀x", true), R"("\u00e9\u20ac\ud83d\ude00x")");
    EXPECT_EQ(json_string("\U0010FFFF", true), R"("\udbff\udfff")");
}

// All characters of the basic plane, and a sixteenth of the others.
TEST(JsonString, EachCharacter) {
    for (uint32_t first = 0; first <= 0x10FFFF; first += first < 0x10000 ? 0x100 : 0x1000) {
        if (first >= 0xD800 && first <= 0xDFFF) {
            continue;  // surrogates are no characters
        }
        std::string text;
        for (uint32_t code = first; code < first + 0x100; ++code) {
            text += utf8(code);
        }
        ASSERT_EQ(nlohmann::json::parse(json_string(text, false)).get<std::string>(), text);
        const std::string ascii = json_string(text, true);
        ASSERT_EQ(nlohmann::json::parse(ascii).get<std::string>(), text);
        ASSERT_TRUE(is_ascii_line(ascii)) << ascii;
    }
}

// Not valid UTF-8, against the contract: still nothing is read from behind the end.
TEST(JsonString, CutCharacter) {
    for (const char *text : {"\xc3", "\xe2\x82", "\xf0\x9f\x98", "x\xf0"}) {
        const std::string copy(text);
        const std::unique_ptr<char[]> exact(new char[copy.size()]);
        memcpy(exact.get(), copy.data(), copy.size());
        EXPECT_TRUE(is_ascii_line(json_string(std::string_view(exact.get(), copy.size()), true)));
    }
}

TEST(JsonVerbatim, KeepsTheText) {
    EXPECT_EQ(verbatim(R"({"a": [1.500, 1e3, "\u00e9é"], "a": null} )", false),
              R"({"a": [1.500, 1e3, "\u00e9é"], "a": null} )");
}

TEST(JsonVerbatim, IsOneLine) {
    EXPECT_EQ(verbatim("\n{\"a\\n\":\r\n\t1 ,\n\"b\":[ ]}\n", false), R"({"a\n":1 ,"b":[ ]})");
}

TEST(JsonVerbatim, AsciiOnly) {
    EXPECT_EQ(verbatim("[\"é€😀\",\n\"\\u00e9\"]", true), R"(["\u00e9\u20ac\ud83d\ude00","\u00e9"])");
}

}  // namespace cdc::test

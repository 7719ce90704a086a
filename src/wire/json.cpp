// Writing and checking of JSON text.
#include "json.hpp"

#include <cstdint>

namespace cdc::wire {

namespace {

constexpr char kHex[] = "0123456789abcdef";

uint8_t *put_unicode_escape(uint8_t *at, unsigned unit) {
    *at++ = '\\';
    *at++ = 'u';
    for (int shift = 12; shift >= 0; shift -= 4) {
        *at++ = static_cast<uint8_t>(kHex[unit >> shift & 15]);
    }
    return at;
}

// Decodes the character at text[i], which must be valid UTF-8 above U+007F, moves i behind it, and escapes it.
uint8_t *put_escaped_character(uint8_t *at, std::string_view text, size_t &i) {
    const auto byte = [&](size_t k) { return static_cast<uint32_t>(static_cast<uint8_t>(text[k])); };
    const uint32_t lead = byte(i);
    const size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (text.size() - i < size) {  // not valid UTF-8 after all: never read beyond the end
        i = text.size();
        return at;
    }
    uint32_t code = lead & (0xFFU >> (size + 1));
    for (size_t k = 1; k < size; ++k) {
        code = code << 6 | (byte(i + k) & 0x3F);
    }
    i += size;
    if (code >= 0x10000) {
        code -= 0x10000;
        at = put_unicode_escape(at, 0xD800 + (code >> 10));
        return put_unicode_escape(at, 0xDC00 + (code & 0x3FF));
    }
    return put_unicode_escape(at, code);
}

bool needs_escape(uint8_t c, bool ascii_only) {
    return c < 0x20 || c == '"' || c == '\\' || (ascii_only && c >= 0x80);
}

// A recursive-descent parser with its recursion unrolled: one bit for each open bracket.
class Checker {
 public:
    Checker(std::string_view text, bool unicode_escapes_ok) : text_(text), unicode_escapes_ok_(unicode_escapes_ok) {}

    JsonCheck check() {
        if (!document()) {
            return too_deep_ ? JsonCheck::kJsonOnly : JsonCheck::kInvalid;
        }
        return jsonb_ ? JsonCheck::kJsonb : JsonCheck::kJsonOnly;
    }

 private:
    static constexpr size_t kMaxDepth = 6400;  // PostgreSQL has no fixed limit: how deep it goes is up to its stack
    static constexpr size_t kJsonbDepth = 500;
    // numeric has 131072 digits in front of the point and 16383 behind it. These leave room for an exponent of three
    // digits, which is the longest that passes.
    static constexpr size_t kJsonbWholeDigits = 130000;
    static constexpr size_t kJsonbFractionDigits = 15000;

    bool document() {
        for (;;) {
            // A value is due.
            skip_space();
            if (take('{')) {
                if (!open(true)) {
                    return false;
                }
                skip_space();
                if (!take('}')) {
                    if (!key()) {
                        return false;
                    }
                    continue;
                }
                --depth_;
            } else if (take('[')) {
                if (!open(false)) {
                    return false;
                }
                skip_space();
                if (!take(']')) {
                    continue;
                }
                --depth_;
            } else if (!scalar()) {
                return false;
            }
            // A value has ended: close what it closes, until one more is due.
            for (;;) {
                skip_space();
                if (depth_ == 0) {
                    return at_ == text_.size();
                }
                if (take(',')) {
                    if (in_object() && !key()) {
                        return false;
                    }
                    break;
                }
                if (!take(in_object() ? '}' : ']')) {
                    return false;
                }
                --depth_;
            }
        }
    }

    bool open(bool object) {
        if (depth_ == kMaxDepth) {
            too_deep_ = true;
            return false;
        }
        const auto bit = static_cast<uint8_t>(1U << (depth_ & 7));
        uint8_t &byte = objects_[depth_ >> 3];
        byte = static_cast<uint8_t>(object ? (byte | bit) : (byte & ~bit));
        ++depth_;
        jsonb_ = jsonb_ && depth_ <= kJsonbDepth;
        return true;
    }

    bool in_object() const { return (objects_[(depth_ - 1) >> 3] >> ((depth_ - 1) & 7) & 1) != 0; }

    bool key() {
        skip_space();
        if (!take('"') || !string()) {
            return false;
        }
        skip_space();
        return take(':');
    }

    bool scalar() {
        if (take('"')) {
            return string();
        }
        return word("true") || word("false") || word("null") || number();
    }

    bool string() {
        bool high_surrogate = false;  // one that waits for its other half
        while (at_ < text_.size()) {
            const auto c = static_cast<uint8_t>(text_[at_++]);
            if (c == '"') {
                jsonb_ = jsonb_ && !high_surrogate;
                return true;
            }
            if (c < 0x20) {
                return false;
            }
            if (c != '\\') {
                jsonb_ = jsonb_ && !high_surrogate;
                continue;
            }
            if (at_ == text_.size()) {
                return false;
            }
            const char escaped = text_[at_++];
            if (escaped != 'u') {
                if (std::string_view("\"\\/bfnrt").find(escaped) == std::string_view::npos) {
                    return false;
                }
                jsonb_ = jsonb_ && !high_surrogate;
                continue;
            }
            unsigned unit = 0;
            for (int i = 0; i < 4; ++i) {
                const int digit = at_ < text_.size() ? hex(text_[at_++]) : -1;
                if (digit < 0) {
                    return false;
                }
                unit = unit << 4 | static_cast<unsigned>(digit);
            }
            const bool is_low = unit >= 0xDC00 && unit <= 0xDFFF;
            jsonb_ = jsonb_ && unit != 0 && is_low == high_surrogate && (unit < 0x80 || unicode_escapes_ok_);
            high_surrogate = unit >= 0xD800 && unit <= 0xDBFF;
        }
        return false;
    }

    bool number() {
        take('-');
        if (!take('0')) {
            const size_t length = digits();
            if (length == 0) {
                return false;
            }
            jsonb_ = jsonb_ && length <= kJsonbWholeDigits;
        }
        if (take('.')) {
            const size_t length = digits();
            if (length == 0) {
                return false;
            }
            jsonb_ = jsonb_ && length <= kJsonbFractionDigits;
        }
        if (take('e') || take('E')) {
            if (!take('+')) {
                take('-');
            }
            const size_t length = digits();
            if (length == 0) {
                return false;
            }
            jsonb_ = jsonb_ && length <= 3;  // beyond 10^999, numeric may give up
        }
        return true;
    }

    size_t digits() {
        const size_t start = at_;
        while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
            ++at_;
        }
        return at_ - start;
    }

    static int hex(char c) {
        if (c >= '0' && c <= '9') {
            return c - '0';
        }
        if (c >= 'a' && c <= 'f') {
            return c - 'a' + 10;
        }
        if (c >= 'A' && c <= 'F') {
            return c - 'A' + 10;
        }
        return -1;
    }

    bool take(char c) {
        if (at_ < text_.size() && text_[at_] == c) {
            ++at_;
            return true;
        }
        return false;
    }

    bool word(std::string_view expected) {
        if (text_.substr(at_, expected.size()) == expected) {
            at_ += expected.size();
            return true;
        }
        return false;
    }

    void skip_space() {
        while (at_ < text_.size() &&
               (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) {
            ++at_;
        }
    }

    std::string_view text_;
    size_t at_ = 0;
    size_t depth_ = 0;
    bool jsonb_ = true;
    bool too_deep_ = false;
    bool unicode_escapes_ok_;
    uint8_t objects_[kMaxDepth / 8 + 1] = {};
};

}  // namespace

void put_json_string(Buffer &out, std::string_view text, bool ascii_only) {
    out.append('"');
    size_t i = 0;
    while (i < text.size()) {
        size_t plain = i;
        while (plain < text.size() && !needs_escape(static_cast<uint8_t>(text[plain]), ascii_only)) {
            ++plain;
        }
        out.append(text.data() + i, plain - i);
        i = plain;
        if (i == text.size()) {
            break;
        }
        uint8_t *at = out.reserve(12);
        const char c = text[i];
        if (static_cast<uint8_t>(c) >= 0x80) {
            at = put_escaped_character(at, text, i);
        } else {
            static constexpr char kNamed[] = "\"\"\\\\\bb\ff\nn\rr\tt";
            const char *name = nullptr;
            for (const char *pair = kNamed; *pair != '\0'; pair += 2) {
                if (*pair == c) {
                    name = pair + 1;
                }
            }
            if (name != nullptr && c != '\0') {
                *at++ = '\\';
                *at++ = static_cast<uint8_t>(*name);
            } else {
                at = put_unicode_escape(at, static_cast<uint8_t>(c));
            }
            ++i;
        }
        out.advance_to(at);
    }
    out.append('"');
}

JsonCheck check_json(std::string_view text, bool unicode_escapes_ok) {
    return Checker(text, unicode_escapes_ok).check();
}

void put_json_verbatim(Buffer &out, std::string_view json, bool ascii_only) {
    size_t i = 0;
    while (i < json.size()) {
        size_t plain = i;
        while (plain < json.size() && json[plain] != '\n' && json[plain] != '\r' && json[plain] != '\t' &&
               !(ascii_only && static_cast<uint8_t>(json[plain]) >= 0x80)) {
            ++plain;
        }
        out.append(json.data() + i, plain - i);
        i = plain;
        if (i == json.size()) {
            break;
        }
        if (static_cast<uint8_t>(json[i]) >= 0x80) {
            uint8_t *at = out.reserve(12);
            out.advance_to(put_escaped_character(at, json, i));
        } else {
            ++i;  // white space between tokens: inside a string it could only stand escaped
        }
    }
}

}  // namespace cdc::wire

// The bounds-checked cursor.
#include "reader.hpp"

#include <cstring>

namespace cdc::wire {

namespace {

// Eight bytes of ASCII without NUL.
bool is_plain(const uint8_t *bytes) {
    constexpr uint64_t kEach = 0x0101010101010101;
    uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    return ((word | (word - kEach)) & (kEach << 7)) == 0;
}

}  // namespace

void Reader::fail(const char *what, const char *at) const {
    if (!*error_) {
        error_->what = what;
        error_->offset = static_cast<size_t>(at - input_);
    }
}

void Reader::fail(const char *what, const Field &field) const {
    fail(what, field.type == kBytes ? field.bytes.data() : at_);
}

bool Reader::read_long_varint(uint64_t &number) {
    const char *const start = at_;
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (at_ == end_) {
            fail("truncated number", start);
            return false;
        }
        const uint64_t byte = static_cast<uint8_t>(*at_++);
        if (shift == 63 && byte > 1) {
            break;
        }
        result |= (byte & 0x7F) << shift;
        if (byte < 0x80) {
            number = result;
            return true;
        }
    }
    fail("number of more than 64 bits", start);
    return false;
}

bool Reader::next_varint(uint64_t &number) {
    return !*error_ && at_ != end_ && read_varint(number);
}

bool Reader::next(Field &field) {
    if (*error_ || at_ == end_) {
        return false;
    }
    const char *const start = at_;
    uint64_t key;
    if (!read_varint(key)) {
        return false;
    }
    if (key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) {
        fail("invalid field number", start);
        return false;
    }
    field.number = static_cast<uint32_t>(key >> 3);
    field.type = static_cast<WireType>(key & 7);
    field.number_value = 0;
    field.bytes = std::string_view();

    switch (field.type) {
        case kVarint:
            return read_varint(field.number_value);
        case kFixed64:
        case kFixed32: {
            const int size = field.type == kFixed64 ? 8 : 4;
            if (end_ - at_ < size) {
                fail("truncated number", at_);
                return false;
            }
            if (size == 8) {
                field.number_value = read_fixed<uint64_t>(at_);
            } else {
                field.number_value = read_fixed<uint32_t>(at_);
            }
            at_ += size;
            return true;
        }
        case kBytes: {
            uint64_t size;
            const char *const length_at = at_;
            if (!read_varint(size)) {
                return false;
            }
            if (size > static_cast<uint64_t>(end_ - at_)) {
                fail("length beyond the end of the data", length_at);
                return false;
            }
            field.bytes = std::string_view(at_, static_cast<size_t>(size));
            at_ += size;
            return true;
        }
    }
    fail("invalid wire type", start);
    return false;
}

uint64_t expect_number(const Reader &reader, const Field &field, WireType type) {
    if (field.type != type) {
        reader.fail("field of another type than the schema gives it", field);
        return 0;
    }
    return field.number_value;
}

std::string_view expect_bytes(const Reader &reader, const Field &field) {
    if (field.type != kBytes) {
        reader.fail("field of another type than the schema gives it", field);
    }
    return field.bytes;
}

std::string_view expect_string(const Reader &reader, const Field &field) {
    const std::string_view text = expect_bytes(reader, field);
    const size_t valid = valid_utf8_prefix(text);
    if (valid != text.size()) {
        reader.fail("string that is not UTF-8, or holds a NUL", text.data() + valid);
        return std::string_view();
    }
    return text;
}

size_t valid_utf8_prefix(std::string_view text) {
    const auto *const bytes = reinterpret_cast<const uint8_t *>(text.data());
    size_t i = 0;
    while (i < text.size()) {
        if (text.size() - i >= 8 && is_plain(bytes + i)) {
            i += 8;
            continue;
        }
        const uint8_t lead = bytes[i];
        if (lead < 0x80) {
            if (lead == 0) {
                return i;
            }
            ++i;
            continue;
        }
        // Second-byte bounds exclude overlong forms, surrogates and what lies beyond U+10FFFF.
        size_t size;
        uint8_t low = 0x80;
        uint8_t high = 0xBF;
        if (lead >= 0xC2 && lead <= 0xDF) {
            size = 2;
        } else if (lead >= 0xE0 && lead <= 0xEF) {
            size = 3;
            low = lead == 0xE0 ? 0xA0 : 0x80;
            high = lead == 0xED ? 0x9F : 0xBF;
        } else if (lead >= 0xF0 && lead <= 0xF4) {
            size = 4;
            low = lead == 0xF0 ? 0x90 : 0x80;
            high = lead == 0xF4 ? 0x8F : 0xBF;
        } else {
            return i;
        }
        if (text.size() - i < size || bytes[i + 1] < low || bytes[i + 1] > high) {
            return i;
        }
        for (size_t k = 2; k < size; ++k) {
            if ((bytes[i + k] & 0xC0) != 0x80) {
                return i;
            }
        }
        i += size;
    }
    return i;
}

}  // namespace cdc::wire

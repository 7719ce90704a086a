// A cursor over protobuf fields that trusts nothing: every length is checked against the bytes that are there, and an
// error keeps what was wrong and at which byte of the whole input.
#pragma once

#include "schema.hpp"
#include "varint.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cdc::wire {

// The first thing found wrong with an input.
struct Error {
    const char *what = nullptr;  // nullptr: nothing
    size_t offset = 0;           // byte of the input, from 0

    explicit operator bool() const { return what != nullptr; }
};

// One field: its number, its type and its payload.
struct Field {
    uint32_t number = 0;
    WireType type = kVarint;
    uint64_t number_value = 0;  // of kVarint, kFixed64, kFixed32
    std::string_view bytes;     // of kBytes
};

// Little-endian, as on the wire; compilers make one load of it where the machine is, too.
template <typename Number>
Number read_fixed(const char *at) {
    Number number = 0;
    for (unsigned i = 0; i < sizeof number; ++i) {
        number |= static_cast<Number>(static_cast<uint8_t>(at[i])) << (8 * i);
    }
    return number;
}

class Reader {
 public:
    Reader() = default;

    // Reads `bytes`, a part of an input that starts at `input`; errors count from there and land in `error`.
    Reader(std::string_view bytes, const char *input, Error &error)
        : at_(bytes.data()), end_(bytes.data() + bytes.size()), input_(input), error_(&error) {}

    // Reads the next field; false at the end and after an error.
    bool next(Field &field);

    // Takes the next field if it starts with `tag`, of a length-delimited field, and tag and length take a byte each:
    // most values of a row do. Else takes nothing and is false; next() reads it, whatever it is.
    bool next_short(uint8_t tag, std::string_view &bytes) {
        if (end_ - at_ < 2 || static_cast<uint8_t>(*at_) != tag) {
            return false;
        }
        const auto size = static_cast<uint8_t>(at_[1]);
        if (size >= 0x80 || size > end_ - at_ - 2) {
            return false;
        }
        bytes = std::string_view(at_ + 2, size);
        at_ += 2 + size;
        return true;
    }

    // A reader of a length-delimited field's content.
    Reader enter(const Field &field) const { return enter(field.bytes); }
    Reader enter(std::string_view content) const { return Reader(content, input_, *error_); }

    // Reads a bare varint (of a packed list); false at the end and after an error.
    bool next_varint(uint64_t &number);

    // Notes an error at the start of `field`'s payload (or, for a number, just behind it), unless there is one.
    void fail(const char *what, const Field &field) const;
    void fail(const char *what, const char *at) const;

    // Where the next field starts.
    const char *position() const { return at_; }
    bool at_end() const { return at_ == end_; }

    Error &error() const { return *error_; }

 private:
    bool read_varint(uint64_t &number) {
        if (at_ != end_ && static_cast<uint8_t>(*at_) < 0x80) {
            number = static_cast<uint8_t>(*at_++);
            return true;
        }
        return read_long_varint(number);
    }
    bool read_long_varint(uint64_t &number);

    const char *at_ = nullptr;
    const char *end_ = nullptr;
    const char *input_ = nullptr;
    Error *error_ = nullptr;
};

// Checks that a field has the type that the schema gives it, and returns its payload; a mismatch is noted as an error.
uint64_t expect_number(const Reader &reader, const Field &field, WireType type);
std::string_view expect_bytes(const Reader &reader, const Field &field);
// The same, for a string: valid UTF-8 without NUL.
std::string_view expect_string(const Reader &reader, const Field &field);

// Length of the longest prefix of `text` that is valid UTF-8 and has no NUL.
size_t valid_utf8_prefix(std::string_view text);

}  // namespace cdc::wire

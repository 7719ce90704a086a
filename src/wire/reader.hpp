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

class Reader {
 public:
    Reader() = default;

    // Reads `bytes`, a part of an input that starts at `input`; errors count from there and land in `error`.
    Reader(std::string_view bytes, const char *input, Error &error)
        : at_(bytes.data()), end_(bytes.data() + bytes.size()), input_(input), error_(&error) {}

    // Reads the next field; false at the end and after an error.
    bool next(Field &field);

    // A reader of a length-delimited field's content.
    Reader enter(const Field &field) const { return Reader(field.bytes, input_, *error_); }

    // Reads a bare varint (of a packed list); false at the end and after an error.
    bool next_varint(uint64_t &number);

    // Notes an error at the start of `field`'s payload (or, for a number, just behind it), unless there is one.
    void fail(const char *what, const Field &field) const;
    void fail(const char *what, const char *at) const;

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

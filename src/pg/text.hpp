// Text from the server's encoding to UTF-8.
#pragma once

#include "../wire/render.hpp"
#include "postgres.hpp"

namespace cdc::pg {

inline bool is_ascii(const char *text, Size size) {
    Size i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64 eight;
        memcpy(&eight, text + i, 8);
        if ((eight & UINT64CONST(0x8080808080808080)) != 0) {
            return false;
        }
    }
    for (; i < size; ++i) {
        if ((static_cast<uint8>(text[i]) & 0x80) != 0) {
            return false;
        }
    }
    return true;
}

// Finds the conversion of this database's encoding. To be called once before to_utf8(), at any place where a
// transaction is open or can be opened: later calls may come where catalogs cannot be read (a message outside of
// transactions).
void prepare_conversion();

// The text as UTF-8, in CurrentMemoryContext or, if nothing had to be done, where it was. False if it has no UTF-8
// form: its bytes are wrong, or its encoding has no conversion (SQL_ASCII only passes what is UTF-8 already). Never an
// ERROR, because that would stop a slot for ever.
bool to_utf8(const char *text, Size size, std::string_view *utf8);

// Bytes of UTF-8 that a byte in the server's encoding can become.
constexpr Size kUtf8Growth = MAX_CONVERSION_GROWTH;

// A name as UTF-8, in CurrentMemoryContext: bytes that have no such form become question marks.
std::string_view name_to_utf8(const char *name);

// How text is rendered as JSON, and JSON for jsonb, in this database. (SQL_ASCII takes any bytes but converts nothing.)
wire::RenderOptions render_options();

}  // namespace cdc::pg

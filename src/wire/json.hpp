// JSON text: strings written, and foreign JSON checked before it is embedded.
#pragma once

#include "buffer.hpp"

#include <string_view>

namespace cdc::wire {

// `text` must be valid UTF-8. With ascii_only, everything above U+007F is written as \u escapes, so that the result is
// valid in every server encoding.
void put_json_string(Buffer &out, std::string_view text, bool ascii_only);

// What a text is as JSON.
enum class JsonCheck {
    kInvalid,   // not JSON
    kJsonb,     // JSON that jsonb can hold as well
    kJsonOnly,  // JSON that jsonb refuses or may refuse: NUL or lone surrogates in a string, huge numbers, deep nests;
                // and what is nested too deep to be checked to its end
};

// `unicode_escapes_ok`: whether jsonb can hold any \u escape; not so in databases of another encoding than UTF-8.
JsonCheck check_json(std::string_view text, bool unicode_escapes_ok);

// Writes JSON that check_json() accepted, on one line.
void put_json_verbatim(Buffer &out, std::string_view json, bool ascii_only);

}  // namespace cdc::wire

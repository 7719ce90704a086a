// Any text as JSON: what check_json() accepts must be what another library accepts, and what is written must be JSON
// that means the same.
#include "check.hpp"
#include "growing_buffer.hpp"
#include "json_judge.hpp"

#include "wire/json.hpp"
#include "wire/reader.hpp"

#include <string>

namespace {

using namespace cdc;
using fuzz::check;
using fuzz::Judge;
using fuzz::Verdict;

void check_string(std::string_view text, bool ascii_only) {
    fuzz::GrowingBuffer out;
    wire::put_json_string(out, text, ascii_only);
    check(nlohmann::json::parse(out.view()).get<std::string>() == text, "string means something else", out.view());
}

void check_verbatim(std::string_view text, bool ascii_only) {
    fuzz::GrowingBuffer out;
    wire::put_json_verbatim(out, text, ascii_only);
    check(wire::check_json(out.view(), true) == wire::check_json(text, true), "JSON is no longer the same", out.view());
    check(out.view().find('\n') == std::string_view::npos, "line break in JSON", out.view());
    if (Judge::judge(text) == Verdict::kJson) {
        check(nlohmann::json::parse(out.view()) == nlohmann::json::parse(text), "JSON means something else",
              out.view());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view text(reinterpret_cast<const char *>(data), size);
    const wire::JsonCheck result = wire::check_json(text, true);
    const wire::JsonCheck without_escapes = wire::check_json(text, false);
    check((result == wire::JsonCheck::kInvalid) == (without_escapes == wire::JsonCheck::kInvalid),
          "JSON or not depends on the encoding", text);
    check(result == wire::JsonCheck::kJsonb || without_escapes != wire::JsonCheck::kJsonb, "stricter with escapes",
          text);

    // The contract asks for UTF-8 without NUL; and the other library skips a byte order mark.
    if (wire::valid_utf8_prefix(text) != text.size() || text.substr(0, 3) == "\xef\xbb\xbf") {
        return 0;
    }
    const Verdict verdict = Judge::judge(text);
    switch (result) {
        case wire::JsonCheck::kInvalid:
            check(verdict != Verdict::kJson, "JSON is refused", text);
            break;
        case wire::JsonCheck::kJsonb:
            check(verdict != Verdict::kNotJson, "what is not JSON is accepted", text);
            break;
        case wire::JsonCheck::kJsonOnly:
            break;  // lone surrogates, which the other library refuses
    }
    for (const bool ascii_only : {false, true}) {
        check_string(text, ascii_only);
        if (result != wire::JsonCheck::kInvalid) {
            check_verbatim(text, ascii_only);
        }
    }
    return 0;
}

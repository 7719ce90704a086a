// Decodes a batch into lines of JSON, with the definitions of relations kept from one record to the next.
#pragma once

#include "tight_buffer.hpp"

#include "wire/render.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace cdc::test {

struct Decoded {
    std::vector<std::string> lines;  // one for each record before the error
    wire::Error error;
};

using Definitions = std::map<uint32_t, std::string>;

inline std::string_view find_definition(void *definitions, uint32_t relation_id) {
    const auto &by_id = *static_cast<const Definitions *>(definitions);
    const auto found = by_id.find(relation_id);
    return found == by_id.end() ? std::string_view() : std::string_view(found->second);
}

// What the module asks for, by the encoding of its database.
constexpr wire::RenderOptions make_options(bool ascii_only, bool unicode_escapes, bool lenient) {
    wire::RenderOptions options{};
    options.ascii_only = ascii_only;
    options.unicode_escapes = unicode_escapes;
    options.lenient = lenient;
    return options;
}
constexpr wire::RenderOptions kUtf8 = make_options(false, true, false);
constexpr wire::RenderOptions kSqlAscii = make_options(false, false, false);
constexpr wire::RenderOptions kOtherEncoding = make_options(true, false, false);
constexpr wire::RenderOptions kLenient = make_options(false, true, true);

inline Decoded decode_batch(std::string_view bytes, wire::RenderOptions options = kUtf8) {
    // A copy that ends where the batch ends, so that AddressSanitizer sees reads beyond it.
    const std::vector<char> exact(bytes.begin(), bytes.end());
    const std::string_view input(exact.data(), exact.size());
    Decoded decoded;
    Definitions definitions;
    wire::Transaction transaction;
    wire::Reader batch(input, input.data(), decoded.error);
    wire::RecordView record;
    while (wire::next_record(batch, record)) {
        if (record.kind == wire::record::relation) {
            definitions[wire::relation_oid(record)] = record.bytes;
        }
        TightBuffer line;
        wire::render_record(line, record, transaction, {find_definition, &definitions}, options);
        if (decoded.error) {
            break;
        }
        decoded.lines.push_back(line.str());
    }
    return decoded;
}

}  // namespace cdc::test

// Any bytes as a batch: no crash, errors inside of the input, and JSON wherever there is no error. In the ways of
// cdc.decode(), which renders whole records, and of cdc.peek_changes(), which renders their parts.
#include "check.hpp"
#include "growing_buffer.hpp"
#include "json_judge.hpp"

#include "wire/render.hpp"

#include <algorithm>
#include <map>
#include <string>

namespace {

using namespace cdc;
using fuzz::check;

using Definitions = std::map<uint32_t, std::string>;

std::string_view find_definition(void *definitions, uint32_t relation_id) {
    const auto &by_id = *static_cast<const Definitions *>(definitions);
    const auto found = by_id.find(relation_id);
    return found == by_id.end() ? std::string_view() : std::string_view(found->second);
}

void check_json(std::string_view text, wire::RenderOptions options) {
    check(fuzz::Judge::judge(text) != fuzz::Verdict::kNotJson, "rendered text is not JSON", text);
    check(text.find('\n') == std::string_view::npos, "rendered text has a line break", text);
    check(!options.ascii_only || std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; }),
          "rendered text is not ASCII", text);
}

// Members that start with a comma, as an object.
void check_members(fuzz::GrowingBuffer &text, wire::RenderOptions options) {
    if (text.used != 0) {
        check(text.data[0] == ',', "members do not start with a comma", text.view());
        text.data[0] = '{';
        text.append('}');
        check_json(text.view(), options);
    }
}

void render_parts(const wire::RecordView &record, wire::RelationSource relations, wire::RenderOptions options) {
    wire::EventView event;
    if (!wire::read_event(record, relations, event)) {
        return;
    }
    check(wire::event_word(event) != std::string_view("unknown"), "event of an unknown kind");
    fuzz::GrowingBuffer text;
    if (record.kind == wire::record::change) {
        for (const uint32_t list : {wire::change::before, wire::change::after}) {
            text.used = 0;
            wire::render_row(text, record, event, list, options);
            if (record.body.error()) {
                return;
            }
            check_json(text.view(), options);
        }
        text.used = 0;
        wire::render_change_notes(text, record, event, options);
    } else if (record.kind == wire::record::message) {
        wire::render_message_members(text, event, options);
    } else {
        wire::each_truncated(record, [&](uint32_t relation_id) { wire::relation_name(relations(relation_id)); });
    }
    if (!record.body.error()) {
        check_members(text, options);
    }
}

void decode(std::string_view input, bool parts, wire::RenderOptions options) {
    wire::Error error;
    Definitions definitions;
    const wire::RelationSource relations{find_definition, &definitions};
    wire::Transaction transaction;
    wire::Reader batch(input, input.data(), error);
    wire::RecordView record;
    while (wire::next_record(batch, record)) {
        if (record.kind == wire::record::relation) {
            definitions[wire::relation_oid(record)] = record.bytes;
        }
        if (!parts) {
            fuzz::GrowingBuffer line;
            wire::render_record(line, record, transaction, relations, options);
            if (!error) {
                check_json(line.view(), options);
            }
        } else if (record.kind >= wire::record::change) {
            render_parts(record, relations, options);
        } else {
            wire::follow_transaction(record, transaction);
        }
    }
    check(error.offset <= input.size(), "error beyond the input");
    check(!error || error.what[0] != '\0', "error without a text");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view input(reinterpret_cast<const char *>(data), size);
    wire::RenderOptions options{};
    options.unicode_escapes = true;
    decode(input, false, options);
    decode(input, true, options);
    options.lenient = true;
    decode(input, false, options);
    options = wire::RenderOptions{};
    options.ascii_only = true;
    decode(input, false, options);
    decode(input, true, options);
    return 0;
}

// Against libprotobuf: a batch that it reads and writes again must be one that we can read, unless it says what we
// refuse on purpose.
#include "check.hpp"
#include "growing_buffer.hpp"

#include "wire/render.hpp"

#include <cdc_plugin/v1/change.pb.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <map>
#include <string>

namespace {

using namespace cdc;
using fuzz::check;

using Definitions = std::map<uint32_t, std::string>;

// What is wrong with bytes, as opposed to what they say. libprotobuf writes no such bytes.
bool is_about_bytes(std::string_view what) {
    static constexpr std::string_view kAboutBytes[] = {"truncated number",
                                                       "number of more than 64 bits",
                                                       "invalid field number",
                                                       "length beyond the end of the data",
                                                       "invalid wire type",
                                                       "field of another type than the schema gives it",
                                                       "field that a batch does not have",
                                                       "number out of the range of its type",
                                                       "value of an unknown kind",
                                                       "record of an unknown kind"};
    return std::find(std::begin(kAboutBytes), std::end(kAboutBytes), what) != std::end(kAboutBytes);
}

std::string_view find_definition(void *definitions, uint32_t relation_id) {
    const auto &by_id = *static_cast<const Definitions *>(definitions);
    const auto found = by_id.find(relation_id);
    return found == by_id.end() ? std::string_view() : std::string_view(found->second);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const auto *const quiet = new google::protobuf::LogSilencer;  // it logs each string that is not UTF-8
    (void) quiet;
    cdc_plugin::v1::Batch parsed;
    if (!parsed.ParseFromArray(data, static_cast<int>(size))) {
        return 0;
    }
    parsed.DiscardUnknownFields();
    const std::string bytes = parsed.SerializeAsString();

    wire::Error error;
    Definitions definitions;
    wire::Transaction transaction;
    wire::Reader batch(bytes, bytes.data(), error);
    wire::RecordView record;
    int records = 0;
    while (wire::next_record(batch, record)) {
        check(records < parsed.records_size(), "more records than there are");
        check(record.kind == static_cast<uint32_t>(parsed.records(records).record_case()), "record of another kind");
        ++records;
        if (record.kind == wire::record::relation) {
            const uint32_t id = wire::relation_oid(record);
            check(id == parsed.records(records - 1).relation().relation_id(), "relation of another id");
            definitions[id] = record.bytes;
        }
        fuzz::GrowingBuffer line;
        wire::render_record(line, record, transaction, {find_definition, &definitions}, wire::RenderOptions{});
    }
    if (error) {
        check(!is_about_bytes(error.what), "cannot read what libprotobuf wrote", error.what);
    } else {
        check(records == parsed.records_size(), "fewer records than there are");
    }
    return 0;
}

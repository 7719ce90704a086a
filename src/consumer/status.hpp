// What `cdc_consumer status` knows, and how it is judged and shown. Nothing here asks a server.
#pragma once

#include "model/failure.hpp"
#include "sink/sink.hpp"
#include "source/source.hpp"

#include <optional>
#include <string>

namespace cdc::consumer {

// A row of cdc.slots.
struct GuardView {
    std::string level;
    std::string cause;
    std::string advice;
    std::optional<int64_t> headroom_bytes;
    std::string unknown;  // not empty: why the rest is not known
};

struct Status {
    std::string slot_name;
    std::string database;           // of the source
    std::string system_identifier;  // likewise
    Lsn source_end = 0;
    std::optional<SlotInfo> slot;
    std::optional<GuardView> guard;  // absent without the extension
    bool sink_given = false;
    std::string sink_name;
    std::string sink_unknown;        // not empty: why the sink could not be read
    std::optional<SinkState> state;  // the sink's, of this slot

    struct Verdict {
        ExitCode code = ExitCode::kDone;
        const char *word = "healthy";  // or new, unfinished, lost, mismatch, unknown
        std::string reason;            // may be empty
    };
    Verdict verdict() const;
    std::string table() const;  // lines of at most 100 columns
    std::string json() const;   // one object, and a line feed
};

}  // namespace cdc::consumer

// Recorded streams into a sink.
#include "run.hpp"

#include "applier.hpp"
#include "schema_source.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace cdc::consumer {

namespace {

constexpr size_t kMaxBatch = size_t{1} << 30;  // more than a message of a slot can have

struct FileCloser {
    void operator()(std::FILE *file) const {
        if (file != stdin) {
            std::fclose(file);
        }
    }
};

// Batches of a file written with framing=delimited: a varint length, the batch, and pg_recvlogical's newline.
class RecordedFile {
 public:
    explicit RecordedFile(const std::string &name)
        : name_(name), file_(name == "-" ? stdin : std::fopen(name.c_str(), "rb")) {
        if (file_ == nullptr) {
            throw Failure("cannot open \"" + name + "\": " + std::strerror(errno));
        }
    }

    // False at the end of the file.
    bool next(std::string &batch) {
        size_t size = 0;
        for (unsigned shift = 0;; shift += 7) {
            const int byte = std::getc(file_.get());
            if (byte == EOF && shift == 0) {
                check_read();
                return false;
            }
            if (byte == EOF) {
                fail("it ends in the middle of a length");
            }
            ++offset_;
            size |= static_cast<size_t>(byte & 0x7F) << shift;
            if (size > kMaxBatch || shift > 28) {
                fail("a batch of impossible length");
            }
            if (byte < 0x80) {
                break;
            }
        }
        // In steps, so that a damaged length costs no memory.
        batch.clear();
        while (batch.size() < size) {
            const size_t at = batch.size();
            const size_t step = std::min<size_t>(size - at, 1 << 20);
            batch.resize(at + step);
            if (std::fread(batch.data() + at, 1, step, file_.get()) != step) {
                fail("it ends in the middle of a batch");
            }
            offset_ += step;
        }
        const int end = std::getc(file_.get());
        if (end != '\n') {
            fail(end == EOF ? "it ends in the middle of a batch" : "no newline behind a batch");
        }
        ++offset_;
        return true;
    }

    [[noreturn]] void fail(const std::string &what) {
        check_read();
        throw Failure('"' + name_ + "\" is damaged at byte " + std::to_string(offset_) + ": " + what,
                      "It must be what pg_recvlogical wrote with -o framing=delimited, whole.");
    }

 private:
    void check_read() {
        if (std::ferror(file_.get()) != 0) {
            throw Failure("cannot read \"" + name_ + "\": " + std::strerror(errno));
        }
    }

    std::string name_;
    std::unique_ptr<std::FILE, FileCloser> file_;
    size_t offset_ = 0;
};

SinkState find_state(Sink &sink, const std::string &slot) {
    const std::vector<SinkState> states = sink.states();
    for (const SinkState &state : states) {
        if (slot.empty() ? states.size() == 1 : state.slot == slot) {
            if (state.phase == Phase::kSnapshot) {
                throw Failure(sink.name() + " holds a copy that was interrupted", "Finish it with cdc_consumer run.");
            }
            return state;
        }
    }
    if (!states.empty()) {
        throw Failure(sink.name() + " belongs to slot \"" + states.front().slot + '"', "Name that one with --slot.");
    }
    SinkState state;
    state.slot = slot.empty() ? "replay" : slot;
    state.tables = "replayed";
    state.phase = Phase::kStreaming;
    return state;
}

}  // namespace

ReplayResult replay(const Settings &settings, const std::string &file, Counters &counters,
                    const std::atomic<bool> &stop) {
    RecordedFile recorded(file);
    StreamReader reader;
    SinkOptions options;
    options.slot = settings.slot;
    options.definitions = reader.source();
    const std::unique_ptr<Sink> sink = open_sink(settings.sink, options);
    SinkState state = find_state(*sink, settings.slot);
    if (sink->remembers() && !sink->keeps_definitions() && sink->states().empty()) {
        sink->save_state(state);  // marks the file as ours, should this be interrupted
    }
    NoSchemaSource schema;
    Applier applier(reader, *sink, state, schema, counters);
    std::string batch;
    // All of it in one group: a file that turns out to be damaged must change nothing.
    try {
        while (!stop && recorded.next(batch)) {
            try {
                applier.apply(batch);
            } catch (const CorruptStream &corrupt) {
                recorded.fail(corrupt.what());
            }
        }
        if (stop) {
            throw Failure("stopped: nothing of the file was applied");
        }
        if (applier.in_transaction()) {
            recorded.fail("its last transaction has no end");
        }
        applier.commit();
        sink->sync();
        sink->tidy();
    } catch (...) {
        applier.rollback();
        throw;
    }
    ReplayResult result;
    result.transactions = counters.transactions;
    result.skipped = counters.skipped;
    result.changes = counters.inserts + counters.updates + counters.deletes + counters.truncates;
    return result;
}

}  // namespace cdc::consumer

// JSON lines: each record as format=json prints it, in a file or on standard output. A record "state" ends each
// group; what stands behind the last one is of a group that was not committed, and is cut off when the file is opened
// again. So a file has each transaction once; standard output, which cannot be asked, at least once.
#include "file_lock.hpp"
#include "growing_buffer.hpp"
#include "sink.hpp"

#include "../model/stream_reader.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

namespace cdc::consumer {

namespace {

constexpr size_t kFlushBytes = 256 << 10;
constexpr wire::RenderOptions kRender = {false, true, true};

void add_line(wire::Buffer &buffer, const std::string &line) {
    buffer.append(line.data(), line.size());
    buffer.append('\n');
}

class Output {
 public:
    explicit Output(const std::string &file) : standard_(file == "-"), name_(standard_ ? "standard output" : file) {
        if (standard_) {
            fd_ = STDOUT_FILENO;
            return;
        }
        fd_ = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd_ < 0) {
            fail("cannot open");
        }
        try {
            lock_file(fd_, "file " + file);
        } catch (...) {
            close(fd_);
            throw;
        }
    }
    ~Output() {
        if (!standard_) {
            close(fd_);
        }
    }
    Output(const Output &) = delete;
    Output &operator=(const Output &) = delete;

    bool standard() const { return standard_; }
    const std::string &name() const { return name_; }

    void write(const uint8_t *bytes, size_t size) {
        while (size > 0) {
            const ssize_t written = ::write(fd_, bytes, size);
            if (written < 0) {
                if (errno == EINTR) {
                    continue;
                }
                fail("cannot write to");
            }
            bytes += written;
            size -= static_cast<size_t>(written);
        }
    }

    void sync() {
        if (!standard_ && fdatasync(fd_) != 0) {
            fail("cannot sync");
        }
    }

    off_t size() {
        struct stat status;
        if (fstat(fd_, &status) != 0) {
            fail("cannot read");
        }
        return status.st_size;
    }

    std::string read(off_t at, size_t size) {
        std::string text(size, '\0');
        size_t done = 0;
        while (done < size) {
            const ssize_t got = pread(fd_, text.data() + done, size - done, at + static_cast<off_t>(done));
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got <= 0) {
                fail("cannot read");
            }
            done += static_cast<size_t>(got);
        }
        return text;
    }

    void cut(off_t size) {
        if (!standard_ && (ftruncate(fd_, size) != 0 || lseek(fd_, size, SEEK_SET) < 0)) {
            fail("cannot truncate");
        }
    }

 private:
    [[noreturn]] void fail(const char *what) {
        throw Failure(std::string(what) + " \"" + name_ + "\": " + std::strerror(errno),
                      errno == ENOSPC ? "Make room; the next run goes on where this one stopped." : "");
    }

    bool standard_;
    std::string name_;
    int fd_ = -1;
};

class JsonlSink;

class JsonlWriter : public SnapshotWriter, private StreamEvents {
 public:
    explicit JsonlWriter(JsonlSink &sink) : sink_(sink) {}
    uint64_t write(std::string_view batch) override;
    void finish(const CopiedRange &) override {}

 private:
    bool begin(const Transaction &, const wire::RecordView &) override { return true; }
    void commit(const Transaction &, const wire::RecordView &) override {}
    void relation(const Relation &, const Relation *, const wire::RecordView &record) override { add(record); }
    void change(const Change &, const wire::RecordView &record) override {
        add(record);
        ++rows_;
    }
    void truncate(const Truncation &, const wire::RecordView &) override {}
    void message(const wire::EventView &, const wire::RecordView &) override {}
    void add(const wire::RecordView &record) {
        wire::render_record(text_, record, transaction_, reader_.source(), kRender);
        text_.append('\n');
    }

    JsonlSink &sink_;
    StreamReader reader_;
    wire::Transaction transaction_;
    GrowingBuffer text_;
    uint64_t rows_ = 0;
};

class JsonlSink : public Sink {
 public:
    JsonlSink(const std::string &file, const SinkOptions &options) : output_(file), definitions_(options.definitions) {
        if (!options.init_sql_file.empty()) {
            throw Failure("a sink of JSON lines takes no --init-sql", {}, ExitCode::kUsage);
        }
        if (!output_.standard()) {
            find_state();
        }
    }

    std::string name() const override { return output_.standard() ? "standard output" : "file " + output_.name(); }
    bool remembers() const override { return !output_.standard(); }

    std::vector<SinkState> states() override {
        return state_.slot.empty() ? std::vector<SinkState>() : std::vector<SinkState>{state_};
    }
    bool keeps_definitions() const override { return false; }
    std::vector<Relation> relations(const std::string &) override { return {}; }

    void save_state(const SinkState &state) override {
        prepare();
        add_state(state);
        flush();
        output_.sync();
        accept(state);
    }

    void begin_snapshot(const SinkState &state, const std::vector<Relation> &) override {
        prepare();
        add_mark("snapshot_begin", state);
    }

    std::unique_ptr<SnapshotWriter> open_writer(const Relation &) override {
        return std::make_unique<JsonlWriter>(*this);
    }

    // From any thread.
    void write_lines(const GrowingBuffer &lines) {
        const std::lock_guard<std::mutex> lock(mutex_);
        flush();
        output_.write(lines.data, lines.used);
    }

    void finish_snapshot(const SinkState &state) override {
        add_mark("snapshot_end", state);
        save_state(state);
    }

    void begin() override { prepare(); }
    void transaction_begins(const Transaction &, const wire::RecordView &record) override { add(record); }
    void transaction_ends(const Transaction &, const wire::RecordView &record) override { add(record); }
    void define(const Relation &relation, const Relation *, const Evolution *) override { add(record_of(relation)); }
    void apply(const Change &, const wire::RecordView &record) override { add(record); }
    void truncate(const Truncation &, const wire::RecordView &record) override { add(record); }
    void message(const wire::EventView &, const wire::RecordView &record) override { add(record); }

    void commit(const SinkState &state) override {
        add_state(state);
        flush();
        accept(state);
    }

    void rollback() noexcept override {
        text_.used = 0;
        try {
            output_.cut(end_);
        } catch (const Failure &) {
            // The next start cuts it.
        }
    }

    void sync() override { output_.sync(); }
    bool syncs_beside() const override { return true; }

 private:
    void add(const wire::RecordView &record) {
        wire::render_record(text_, record, transaction_, definitions_, kRender);
        text_.append('\n');
        if (text_.used >= kFlushBytes) {
            flush();
        }
    }

    // Cuts off what a group that was not committed has left.
    void prepare() {
        if (!prepared_) {
            output_.cut(end_);
            prepared_ = true;
        }
    }

    void add_mark(const char *kind, const SinkState &state) {
        const nlohmann::ordered_json line = {{"record", kind}, {"slot", state.slot}};
        add_line(text_, line.dump());
    }

    wire::RecordView record_of(const Relation &relation) {
        wire::RecordView record;
        record.kind = wire::record::relation;
        record.bytes = relation.message;
        record.body = wire::Reader(record.bytes, record.bytes.data(), error_);
        return record;
    }

    void add_state(const SinkState &state) {
        if (output_.standard()) {
            return;
        }
        const nlohmann::ordered_json line = {{"record", "state"},
                                             {"slot", state.slot},
                                             {"system_identifier", state.system_identifier},
                                             {"database", state.database},
                                             {"tables", state.tables},
                                             {"phase", state.phase == Phase::kStreaming ? "streaming" : "snapshot"},
                                             {"position", lsn_text(state.position)}};
        add_line(text_, line.dump());
    }

    void flush() {
        output_.write(text_.data, text_.used);
        text_.used = 0;
    }

    void accept(const SinkState &state) {
        if (!output_.standard()) {
            state_ = state;
            end_ = output_.size();
        }
    }

    // Looks for the last state from the end, and remembers where its line ends. Cuts nothing yet.
    void find_state() {
        static constexpr char kMark[] = "{\"record\":\"state\"";
        constexpr size_t kWindow = 1 << 20;
        constexpr size_t kMaxLine = 64 << 10;
        off_t to = output_.size();
        const bool empty = to == 0;
        while (to > 0) {
            const off_t from = std::max<off_t>(0, to - static_cast<off_t>(kWindow));
            const std::string text = output_.read(from, static_cast<size_t>(to - from));
            for (size_t at = text.rfind(kMark); at != std::string::npos;
                 at = at == 0 ? at : text.rfind(kMark, at - 1)) {
                const size_t end = text.find('\n', at);
                if ((at == 0 ? from == 0 : text[at - 1] == '\n') && end != std::string::npos &&
                    read_state(text.substr(at, end - at))) {
                    end_ = from + static_cast<off_t>(end) + 1;
                    return;
                }
                if (at == 0) {
                    break;
                }
            }
            // Windows overlap by more than a line of state, so that none is missed at their seams.
            to = from == 0 ? 0 : from + static_cast<off_t>(kMaxLine);
        }
        if (!empty) {
            throw Failure("file \"" + output_.name() + "\" was not written by this program",
                          "Name a file that does not exist.");
        }
    }

    bool read_state(const std::string &line) {
        const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
        try {
            const auto position = parse_lsn(json.at("position").get<std::string>());
            if (!position) {
                return false;
            }
            state_.slot = json.at("slot");
            state_.system_identifier = json.at("system_identifier");
            state_.database = json.at("database");
            state_.tables = json.at("tables");
            state_.phase = json.at("phase") == "streaming" ? Phase::kStreaming : Phase::kSnapshot;
            state_.position = *position;
            return true;
        } catch (const nlohmann::json::exception &) {
            return false;
        }
    }

    Output output_;
    wire::RelationSource definitions_;
    std::mutex mutex_;
    GrowingBuffer text_;
    wire::Transaction transaction_;
    wire::Error error_;
    SinkState state_;
    off_t end_ = 0;  // behind the last line of state
    bool prepared_ = false;
};

uint64_t JsonlWriter::write(std::string_view batch) {
    rows_ = 0;
    text_.used = 0;
    reader_.read(batch, *this);
    sink_.write_lines(text_);
    return rows_;
}

}  // namespace

std::unique_ptr<Sink> open_jsonl_sink(const std::string &file, const SinkOptions &options) {
    return std::make_unique<JsonlSink>(file, options);
}

}  // namespace cdc::consumer

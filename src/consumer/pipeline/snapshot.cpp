// Several connections under one snapshot, each copying the next chunk that nobody has taken.
#include "snapshot.hpp"

#include "../postgres/binary_copy.hpp"
#include "../postgres/connection.hpp"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <thread>

namespace cdc::consumer {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kProgressInterval{200};
constexpr int kLookForStopMs = 100;

struct Chunk {
    size_t table;
    int64_t first_block;
    std::optional<int64_t> end_block;  // none: to the end, wherever that is
    int64_t blocks;
};

// Large tables first, so that no worker is left with one of them at the end.
std::vector<Chunk> make_chunks(const std::vector<SourceTable> &tables, int64_t chunk_blocks) {
    std::vector<size_t> order;
    for (size_t i = 0; i < tables.size(); ++i) {
        order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t left, size_t right) { return tables[left].blocks > tables[right].blocks; });
    std::vector<Chunk> chunks;
    for (const size_t table : order) {
        const int64_t blocks = tables[table].blocks;
        int64_t first = 0;
        for (; blocks - first > chunk_blocks; first += chunk_blocks) {
            chunks.push_back({table, first, first + chunk_blocks, chunk_blocks});
        }
        chunks.push_back({table, first, std::nullopt, blocks - first});  // the table may have grown since
    }
    return chunks;
}

void take_snapshot(Connection &connection, const std::string &snapshot) {
    // Row security must not thin out the copy: an error says so instead.
    connection.query("SET row_security = off; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    try {
        connection.query("SET TRANSACTION SNAPSHOT " + connection.quote_literal(snapshot));
    } catch (const ServerError &error) {
        // No such snapshot, in the words of several versions: the connection that exported it is gone.
        for (const char *gone : {"22023", "42704", "55000"}) {
            if (error.sqlstate() == gone) {
                throw ConnectionLost(std::string("the snapshot is gone: ") + error.what());
            }
        }
        throw;
    }
}

std::vector<Relation> read_definitions(const std::string &conninfo, const std::string &snapshot,
                                       const std::vector<SourceTable> &tables) {
    Source source(conninfo);
    take_snapshot(source.connection(), snapshot);
    std::vector<Relation> relations;
    for (const SourceTable &table : tables) {
        relations.push_back(source.definition(table));
    }
    return relations;
}

class TableCopy {
 public:
    TableCopy(const std::string &conninfo, const std::string &snapshot, const std::vector<SourceTable> &tables,
              const std::vector<Relation> &relations, Sink &sink, const SnapshotOptions &options,
              const std::function<void(const SnapshotProgress &)> &report)
        : conninfo_(conninfo),
          snapshot_(snapshot),
          relations_(relations),
          sink_(sink),
          options_(options),
          report_(report),
          chunks_(make_chunks(tables, std::max<int64_t>(options.chunk_blocks, 1))),
          chunks_left_(tables.size()) {
        progress_.tables = tables.size();
        for (const Chunk &chunk : chunks_) {
            ++chunks_left_[chunk.table];
            progress_.blocks += chunk.blocks;
        }
    }

    // Returns when every chunk is copied.
    void run() {
        const size_t jobs = std::min(static_cast<size_t>(std::max(options_.jobs, 1)), chunks_.size());
        std::vector<std::thread> workers;
        try {
            while (workers.size() < jobs) {
                workers.emplace_back(&TableCopy::work, this);
            }
        } catch (...) {
            fail(std::current_exception());
        }
        for (std::thread &worker : workers) {
            worker.join();
        }
        if (failure_) {
            std::rethrow_exception(failure_);
        }
        report_(progress_);
    }

 private:
    void work() {
        try {
            std::optional<Connection> connection;
            while (const Chunk *const chunk = next_chunk()) {
                if (!connection) {
                    connection.emplace(conninfo_, Connection::Options());
                    take_snapshot(*connection, snapshot_);
                }
                copy(*connection, *chunk);
            }
        } catch (...) {
            fail(std::current_exception());
        }
    }

    const Chunk *next_chunk() {
        check_stop();
        const std::lock_guard lock(mutex_);
        return next_ < chunks_.size() && !failed_ ? &chunks_[next_++] : nullptr;
    }

    void copy(Connection &connection, const Chunk &chunk) {
        const Relation &relation = relations_[chunk.table];
        const std::unique_ptr<SnapshotWriter> writer = sink_.open_writer(relation);
        connection.query("COPY (SELECT cdc.snapshot(" + std::to_string(relation.id) + "::oid::regclass, " +
                         std::to_string(chunk.first_block) + ", " +
                         (chunk.end_block ? std::to_string(*chunk.end_block) : "NULL") +
                         ")) TO STDOUT (FORMAT binary)");
        BinaryCopyReader reader;
        const auto write = [&](std::string_view batch) { count(writer->write(batch)); };
        Message message;
        while (next_message(connection, message)) {
            reader.read(message.bytes(), write);
        }
        if (!reader.complete()) {
            throw CorruptStream("the server's COPY of " + relation.table.text() + " ends too early");
        }
        writer->finish();
        finish(chunk);
    }

    // What libpq gives out, freed with it.
    struct Message {
        struct Free {
            void operator()(char *buffer) const { PQfreemem(buffer); }
        };
        std::unique_ptr<char, Free> buffer;
        size_t size = 0;

        std::string_view bytes() const { return {buffer.get(), size}; }
    };

    // False behind the last one.
    bool next_message(Connection &connection, Message &message) {
        while (true) {
            check_stop();
            if (failed_) {
                throw Interrupted();  // not what is thrown in the end: that is the first failure
            }
            char *buffer = nullptr;
            const int size = PQgetCopyData(connection.get(), &buffer, 1);
            message.buffer.reset(buffer);
            if (size > 0) {
                message.size = static_cast<size_t>(size);
                return true;
            }
            if (size == -1) {
                connection.check(PQgetResult(connection.get()));
                PQclear(PQgetResult(connection.get()));  // the end of results
                return false;
            }
            if (size < 0) {
                connection.fail(nullptr);
            }
            pollfd fd{PQsocket(connection.get()), POLLIN, 0};
            poll(&fd, 1, kLookForStopMs);
            if (PQconsumeInput(connection.get()) == 0) {
                connection.fail(nullptr);
            }
        }
    }

    void check_stop() const {
        if (options_.stop != nullptr && *options_.stop) {
            throw Interrupted();
        }
    }

    void count(uint64_t rows) {
        const std::lock_guard lock(mutex_);
        progress_.rows += rows;
        const auto now = Clock::now();
        if (now - reported_ >= kProgressInterval) {
            reported_ = now;
            report_(progress_);
        }
    }

    void finish(const Chunk &chunk) {
        const std::lock_guard lock(mutex_);
        progress_.blocks_done += chunk.blocks;
        progress_.tables_done += --chunks_left_[chunk.table] == 0 ? 1 : 0;
    }

    void fail(std::exception_ptr why) {
        const std::lock_guard lock(mutex_);
        if (!failed_.exchange(true)) {
            failure_ = std::move(why);
        }
    }

    const std::string &conninfo_;
    const std::string &snapshot_;
    const std::vector<Relation> &relations_;
    Sink &sink_;
    const SnapshotOptions &options_;
    const std::function<void(const SnapshotProgress &)> &report_;
    const std::vector<Chunk> chunks_;
    std::atomic<bool> failed_{false};

    std::mutex mutex_;  // for all below
    size_t next_ = 0;
    std::vector<size_t> chunks_left_;  // of each table
    SnapshotProgress progress_;
    Clock::time_point reported_;
    std::exception_ptr failure_;
};

}  // namespace

void copy_tables(const std::string &conninfo, const std::string &snapshot, const std::vector<SourceTable> &tables,
                 Sink &sink, SinkState state, Lsn position, const SnapshotOptions &options,
                 const std::function<void(const SnapshotProgress &)> &progress) {
    const std::vector<Relation> relations = read_definitions(conninfo, snapshot, tables);
    state.phase = Phase::kSnapshot;
    sink.begin_snapshot(state, relations);
    TableCopy(conninfo, snapshot, tables, relations, sink, options, progress).run();
    state.phase = Phase::kStreaming;
    state.position = position;
    sink.finish_snapshot(state);
}

}  // namespace cdc::consumer

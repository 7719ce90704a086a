// Several connections under one snapshot, each copying the next chunk that nobody has taken.
#include "snapshot.hpp"

#include "../postgres/binary_copy.hpp"
#include "../postgres/connection.hpp"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <map>
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
    BlockRange range;
    int64_t blocks;  // that it had when it was planned
};

// Tables without a key first, since an interrupted copy can go on only where they are complete; then large tables, so
// that no worker is left with one of them at the end.
std::vector<Chunk> make_chunks(const std::vector<SourceTable> &tables, const std::vector<Relation> &relations,
                               const std::vector<CopiedRange> &done, int64_t chunk_blocks) {
    std::vector<size_t> order;
    for (size_t i = 0; i < tables.size(); ++i) {
        order.push_back(i);
    }
    const auto rank = [&](size_t i) { return std::make_pair(!relations[i].key.empty(), -tables[i].blocks); };
    std::stable_sort(order.begin(), order.end(), [&](size_t left, size_t right) { return rank(left) < rank(right); });
    std::vector<Chunk> chunks;
    for (const size_t table : order) {
        for (const BlockRange &left : blocks_left(done, tables[table].id)) {
            const int64_t end = std::max(left.end.value_or(tables[table].blocks), left.first);
            int64_t first = left.first;
            for (; end - first > chunk_blocks; first += chunk_blocks) {
                chunks.push_back({table, {first, first + chunk_blocks}, chunk_blocks});
            }
            // The last one has no end, since the table may have grown.
            chunks.push_back({table, {first, left.end}, end - first});
        }
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

class TableCopy {
 public:
    TableCopy(const std::string &conninfo, const std::string &snapshot, const std::vector<SourceTable> &tables,
              const std::vector<Relation> &relations, const std::vector<CopiedRange> &done, Sink &sink,
              const SnapshotOptions &options, const std::function<void(const SnapshotProgress &)> &report)
        : conninfo_(conninfo),
          snapshot_(snapshot),
          relations_(relations),
          sink_(sink),
          options_(options),
          report_(report),
          chunks_(make_chunks(tables, relations, done, std::max<int64_t>(options.chunk_blocks, 1))),
          chunks_left_(tables.size()) {
        for (const CopiedRange &range : done) {
            filenodes_[range.relation_id] = range.filenode;
        }
        progress_.tables = tables.size();
        for (const SourceTable &table : tables) {
            progress_.blocks += table.blocks;
        }
        progress_.blocks_done = progress_.blocks;
        for (const Chunk &chunk : chunks_) {
            ++chunks_left_[chunk.table];
            progress_.blocks_done -= chunk.blocks;
        }
        progress_.tables_done = static_cast<size_t>(std::count(chunks_left_.begin(), chunks_left_.end(), size_t{0}));
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
        return next_ < chunks_.size() ? &chunks_[next_++] : nullptr;
    }

    void copy(Connection &connection, const Chunk &chunk) {
        const Relation &relation = relations_[chunk.table];
        const std::unique_ptr<SnapshotWriter> writer = sink_.open_writer(relation);
        start(connection, "COPY (SELECT cdc.snapshot(" + std::to_string(relation.id) + "::oid::regclass, " +
                              std::to_string(chunk.range.first) + ", " +
                              (chunk.range.end ? std::to_string(*chunk.range.end) : "NULL") +
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
        // The COPY has locked the table, so it has been this file all the time.
        writer->finish({relation.id, check_file(relation, filenode_of(connection, relation.id)), chunk.range});
        finish(chunk);
    }

    // The table may be locked by somebody for long, which a stop need not wait for.
    void start(Connection &connection, const std::string &copy) {
        if (PQsendQuery(connection.get(), copy.c_str()) == 0) {
            connection.fail(nullptr);
        }
        try {
            while (PQisBusy(connection.get()) != 0) {
                wait_for_input(connection);
            }
        } catch (const Interrupted &) {
            connection.cancel();
            throw;
        }
        connection.check(PQgetResult(connection.get()));
    }

    void wait_for_input(Connection &connection) {
        check_stop();
        pollfd fd{PQsocket(connection.get()), POLLIN, 0};
        poll(&fd, 1, kLookForStopMs);
        if (PQconsumeInput(connection.get()) == 0) {
            connection.fail(nullptr);
        }
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
            wait_for_input(connection);
        }
    }

    void check_stop() const {
        if ((options_.stop != nullptr && *options_.stop) || failed_) {
            throw Interrupted();  // where another worker has failed, that is what is thrown in the end
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

    // Blocks tell the parts of a table apart only as long as its rows stay in their places.
    uint32_t check_file(const Relation &relation, uint32_t filenode) {
        const std::lock_guard lock(mutex_);
        if (filenodes_.emplace(relation.id, filenode).first->second != filenode) {
            throw CopyObstacle("table " + relation.table.text() + " was rewritten since a part of it was copied");
        }
        return filenode;
    }

    void finish(const Chunk &chunk) {
        const std::lock_guard lock(mutex_);
        progress_.blocks_done += chunk.blocks;
        progress_.tables_done += --chunks_left_[chunk.table] == 0 ? 1 : 0;
        report_(progress_);
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
    std::vector<size_t> chunks_left_;         // of each table
    std::map<uint32_t, uint32_t> filenodes_;  // by relation
    SnapshotProgress progress_;
    Clock::time_point reported_;
    std::exception_ptr failure_;
};

}  // namespace

std::vector<Relation> read_definitions(const std::string &conninfo, const std::string &snapshot,
                                       const std::vector<SourceTable> &tables, const std::atomic<bool> &stop) {
    Source source(conninfo, &stop);
    take_snapshot(source.connection(), snapshot);
    std::vector<Relation> relations;
    relations.reserve(tables.size());
    for (const SourceTable &table : tables) {
        relations.push_back(source.definition(table));
    }
    return relations;
}

void copy_tables(const std::string &conninfo, const std::string &snapshot, const std::vector<SourceTable> &tables,
                 const std::vector<Relation> &relations, const std::vector<CopiedRange> &done, Sink &sink,
                 const SnapshotOptions &options, const std::function<void(const SnapshotProgress &)> &report) {
    TableCopy(conninfo, snapshot, tables, relations, done, sink, options, report).run();
}

}  // namespace cdc::consumer

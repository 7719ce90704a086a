// Decides what a run has to do (copy anew, or stream on), does it, and tries again when a server goes away.
#include "run.hpp"

#include "applier.hpp"
#include "retry.hpp"
#include "slot_check.hpp"
#include "snapshot.hpp"
#include "stream.hpp"

#include "../source/source.hpp"

#include <spdlog/spdlog.h>

#include <fstream>
#include <iterator>
#include <utility>

namespace cdc::consumer {

namespace {

using Clock = std::chrono::steady_clock;

// More than wal_sender_timeout is by default.
constexpr std::chrono::seconds kPatience{120};

std::string read_file(const std::string &name) {
    std::ifstream file(name, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file) {
        throw Failure("cannot read file \"" + name + '"', {}, ExitCode::kUsage);
    }
    return text;
}

class Runner {
 public:
    Runner(const Settings &settings, Counters &counters, const std::atomic<bool> &stop)
        : settings_(settings), counters_(counters), stop_(stop) {
        options_.slot = settings.slot;
        options_.definitions = reader_.source();
        if (!settings.init_sql_file.empty()) {
            options_.init_sql = read_file(settings.init_sql_file);
            options_.init_sql_file = settings.init_sql_file;
        }
    }

    void run() {
        bool copy_anew = false;
        Retry retry(settings_.max_retry_delay, stop_);
        while (!stop_) {
            streamed_ = false;
            try {
                attempt(copy_anew, retry);
                return;
            } catch (const ConnectionLost &lost) {
                // A server that never answered is more likely named wrongly than restarting.
                if (!connected_) {
                    throw Failure(lost.what(), "Check the connection settings, and whether the server runs.");
                }
                close();
                retry.wait(lost.what());
            } catch (const ServerError &error) {
                // What made the server give up in mid-stream may be over, or a lost slot that the next attempt sees.
                // That one may look at the slot just before it is lost, and so only the attempt behind it sees it.
                if (!streamed_ && !std::exchange(look_again_, false)) {
                    throw Failure(described(error), error.hint());
                }
                close();
                retry.wait(error.what());
            } catch (const SchemaObstacle &obstacle) {
                if (settings_.on_rewrite != OnRewrite::kResnapshot) {
                    throw;
                }
                close();
                spdlog::warn("{}: everything is copied anew", obstacle.what());
                copy_anew = true;
            } catch (const Failure &failure) {
                // What the sink cannot follow; a copy that fails in the same way is not tried again.
                if (failure.code() != ExitCode::kSchema || settings_.on_rewrite != OnRewrite::kResnapshot ||
                    !streamed_) {
                    throw;
                }
                close();
                spdlog::warn("{}: everything is copied anew", failure.what());
                copy_anew = true;
            }
        }
    }

    void resnapshot() {
        try {
            Source source(settings_.source);
            source.check_server();
            open();
            SinkState state = find_state(source);
            copy(source, state);
        } catch (const ServerError &error) {
            throw Failure(described(error), error.hint());
        }
    }

 private:
    void open() {
        if (sink_ == nullptr) {
            sink_ = open_sink(settings_.sink, options_);
        }
    }

    static std::string described(const ServerError &error) {
        return error.detail().empty() ? error.what() : std::string(error.what()) + ": " + error.detail();
    }

    void close() {
        ++counters_.errors;
        ++counters_.reconnects;
        counters_.phase = 3;
        sink_.reset();
        if (lost_since_ == Clock::time_point()) {
            lost_since_ = Clock::now();
        }
    }

    // The sink's state of this slot, or a new one; a Failure if the sink belongs to something else.
    SinkState find_state(const Source &source) {
        for (const SinkState &state : sink_->states()) {
            if (state.slot != settings_.slot) {
                throw Failure(sink_->name() + " belongs to slot \"" + state.slot + '"',
                              "Use another sink for slot \"" + settings_.slot + "\".");
            }
            if (state.system_identifier != source.system_identifier() || state.database != source.database()) {
                throw Failure(sink_->name() + " is a copy from another server or database: system identifier " +
                                  state.system_identifier + ", database \"" + state.database + "\", not " +
                                  source.system_identifier() + ", \"" + source.database() + '"',
                              "Use another sink for this source.");
            }
            known_ = true;
            return state;
        }
        known_ = false;
        SinkState state;
        state.slot = settings_.slot;
        state.system_identifier = source.system_identifier();
        state.database = source.database();
        return state;
    }

    std::string selection() const {
        return settings_.exclude_tables.empty() ? settings_.tables
                                                : settings_.tables + " except " + settings_.exclude_tables;
    }

    void attempt(bool &copy_anew, Retry &retry) {
        Source source(settings_.source);
        source.check_server();
        open();
        connected_ = true;
        SinkState state = find_state(source);
        const std::optional<SlotInfo> slot = source.slot(settings_.slot);
        if (!copy_anew) {
            copy_anew = must_copy(source, state, slot);
        }
        if (copy_anew) {
            copy(source, state);
            copy_anew = false;
        }
        wait_for_walsender(slot);
        counters_.phase = 2;
        counters_.applied_lsn = state.position;
        stream(settings_, source, *sink_, reader_, state, counters_, stop_, [&] {
            retry.reset();
            streamed_ = true;
            look_again_ = true;
            lost_since_ = Clock::time_point();
        });
    }

    // The walsender of a connection that broke holds the slot until it notices.
    void wait_for_walsender(const std::optional<SlotInfo> &slot) const {
        if (slot && slot->active && lost_since_ != Clock::time_point() && Clock::now() - lost_since_ < kPatience) {
            throw ConnectionLost("replication slot \"" + settings_.slot + "\" is still in use by process " +
                                 std::to_string(slot->active_pid));
        }
    }

    bool must_copy(Source &source, const SinkState &state, const std::optional<SlotInfo> &slot) {
        if (!known_ && !slot) {
            return true;
        }
        if (!known_ && !sink_->remembers()) {
            spdlog::info("slot \"{}\" goes on from {}", settings_.slot, lsn_text(slot->confirmed_flush_lsn));
            return false;
        }
        if (known_ && state.phase == Phase::kSnapshot) {
            spdlog::info("a copy was interrupted: copying anew");
            return true;
        }
        if (known_ && state.tables != selection()) {
            throw Failure(sink_->name() + " is a copy of other tables: " + state.tables,
                          "Copy the tables anew with \"cdc_consumer resnapshot\", or name the same ones.");
        }
        const std::string loss =
            find_loss(settings_.slot, slot, known_ ? state.position : 0, source.current_lsn(), source.database());
        if (loss.empty()) {
            return false;
        }
        if (settings_.on_lost_slot == OnLostSlot::kFail) {
            throw Failure(loss,
                          "Copy the tables anew with \"cdc_consumer resnapshot\", or let --on-lost-slot=resnapshot do "
                          "so.",
                          ExitCode::kLostSlot);
        }
        spdlog::warn("{}: everything is copied anew", loss);
        return true;
    }

    // A new slot, and a copy of the tables as of its start.
    void copy(Source &source, SinkState &state) {
        counters_.phase = 1;
        copied_rows_ = 0;
        const std::optional<SlotInfo> old_slot = source.slot(settings_.slot);
        if (old_slot && old_slot->plugin != "cdc_plugin") {
            throw Failure(
                "replication slot \"" + settings_.slot + "\" belongs to the output plugin \"" + old_slot->plugin + '"',
                "Choose another slot name.");
        }
        source.tables(settings_.tables, settings_.exclude_tables);  // what it refuses must change nothing
        state.tables = selection();
        state.phase = Phase::kSnapshot;
        sink_->save_state(state);  // before the slot: from here on, the slot is this sink's to drop
        if (old_slot) {
            source.drop_slot(settings_.slot);
        }
        const NewSlot slot = source.create_slot(settings_.slot, stop_);
        try {
            SnapshotOptions options;
            options.jobs = settings_.snapshot_jobs;
            options.stop = &stop_;
            const std::vector<SourceTable> tables = tables_under(source, slot.snapshot());
            spdlog::info("copying {} tables as of {}", tables.size(), lsn_text(slot.consistent_point()));
            copy_tables(settings_.source, slot.snapshot(), tables, *sink_, state, slot.consistent_point(), options,
                        [this](const SnapshotProgress &progress) { count(progress); });
        } catch (const ConnectionLost &) {
            // What the sink was about to commit may be in it: then the copy is complete, and needs this slot. The next
            // attempt sees it, and otherwise drops the slot.
            throw;
        } catch (...) {
            drop_quietly();
            throw;
        }
        state.phase = Phase::kStreaming;
        state.position = slot.consistent_point();
        ++counters_.snapshots;
        spdlog::info("the copy is complete: {} rows", copied_rows_);
    }

    // Tables that came to be while the slot was made are not in its stream from their first row on.
    std::vector<SourceTable> tables_under(Source &source, const std::string &snapshot) {
        Connection &connection = source.connection();
        connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        connection.query("SET TRANSACTION SNAPSHOT " + connection.quote_literal(snapshot));
        std::vector<SourceTable> tables = source.tables(settings_.tables, settings_.exclude_tables);
        connection.query("COMMIT");
        return tables;
    }

    void count(const SnapshotProgress &progress) {
        counters_.snapshot_tables = progress.tables;
        counters_.snapshot_tables_done = progress.tables_done;
        counters_.snapshot_blocks = static_cast<uint64_t>(progress.blocks);
        counters_.snapshot_blocks_done = static_cast<uint64_t>(progress.blocks_done);
        counters_.snapshot_rows += progress.rows - copied_rows_;
        copied_rows_ = progress.rows;
    }

    // A slot that nobody will read from would hold back WAL.
    void drop_quietly() noexcept {
        try {
            Source(settings_.source).drop_slot(settings_.slot);
        } catch (const std::exception &error) {
            spdlog::warn("slot \"{}\" could not be dropped: {}", settings_.slot, error.what());
        }
    }

    const Settings &settings_;
    Counters &counters_;
    const std::atomic<bool> &stop_;
    StreamReader reader_;
    SinkOptions options_;
    std::unique_ptr<Sink> sink_;
    uint64_t copied_rows_ = 0;  // in the copy at hand
    bool known_ = false;        // the sink has a state of this slot
    bool connected_ = false;    // the source answered in this run
    bool streamed_ = false;     // something came in this attempt
    bool look_again_ = false;   // something came in an earlier one, and none was refused since
    Clock::time_point lost_since_{};
};

}  // namespace

void run(const Settings &settings, Counters &counters, const std::atomic<bool> &stop) {
    try {
        Runner(settings, counters, stop).run();
    } catch (const Interrupted &) {
        spdlog::info("stopped before the copy was complete; the next run starts it anew");
    }
}

void resnapshot(const Settings &settings, Counters &counters, const std::atomic<bool> &stop) {
    try {
        Runner(settings, counters, stop).resnapshot();
    } catch (const Interrupted &) {
        throw Failure("stopped before the copy was complete", "The next run starts it anew.");
    }
}

}  // namespace cdc::consumer

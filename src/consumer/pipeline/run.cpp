// Decides what a run has to do (copy, or stream on), does it, and tries again when a server goes away.
#include "run.hpp"

#include "applier.hpp"
#include "copy.hpp"
#include "retry.hpp"
#include "slot_check.hpp"
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
        options_.stop = &stop_;
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
            } catch (const SlotLost &lost) {
                // The next attempt sees it, too, and does as it was told.
                if (settings_.on_lost_slot != OnLostSlot::kResnapshot) {
                    throw;
                }
                close();
                retry.wait(lost.what());
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
        if (unfinished_) {
            Copy::say_kept(settings_.slot);
        }
    }

    void resnapshot() {
        try {
            Source source(settings_.source, &stop_);
            source.check_server();
            open();
            SinkState state = find_state(source);
            copy(source, state, [] {});
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

    void attempt(bool &copy_anew, Retry &retry) {
        Source source(settings_.source, &stop_);
        source.check_server();
        open();
        connected_ = true;
        SinkState state = find_state(source);
        const std::optional<SlotInfo> slot = source.slot(settings_.slot);
        if (!copy_anew) {
            copy_anew = must_copy(source, state, slot);
        }
        wait_for_walsender(slot);
        const auto connected = [&] {
            retry.reset();
            look_again_ = true;
            lost_since_ = Clock::time_point();
        };
        if (copy_anew) {
            copy(source, state, connected);
            copy_anew = false;
        }
        counters_.phase = 2;
        counters_.applied_lsn = state.position;
        const Lsn target = settings_.until_caught_up ? source.target_lsn() : 0;
        stream(settings_, source, *sink_, reader_, state, target, counters_, stop_, [&] {
            connected();
            streamed_ = true;
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
            return true;
        }
        if (known_ && state.tables != Copy::selection(settings_)) {
            throw Failure(sink_->name() + " is a copy of other tables: " + state.tables,
                          "Copy the tables anew with \"cdc_consumer resnapshot\", or name the same ones.");
        }
        const std::string loss =
            find_loss(settings_.slot, slot, known_ ? state.position : 0, source.current_lsn(), source.database());
        if (loss.empty()) {
            return false;
        }
        if (settings_.on_lost_slot == OnLostSlot::kFail) {
            throw SlotLost(loss);
        }
        spdlog::warn("{}: everything is copied anew", loss);
        return true;
    }

    // Brings the sink to where the stream can go on: completes an interrupted copy, or makes a new one.
    void copy(Source &source, SinkState &state, const std::function<void()> &connected) {
        const bool interrupted = known_ && state.phase == Phase::kSnapshot;
        Copy copy(settings_, source, *sink_, state, counters_, stop_);
        unfinished_ = true;
        if (!interrupted || !copy.complete(reader_, connected)) {
            copy.make_anew();
        }
        unfinished_ = false;
    }

    const Settings &settings_;
    Counters &counters_;
    const std::atomic<bool> &stop_;
    StreamReader reader_;
    SinkOptions options_;
    std::unique_ptr<Sink> sink_;
    bool unfinished_ = false;  // a copy was begun, and another attempt is to complete it
    bool known_ = false;       // the sink has a state of this slot
    bool connected_ = false;   // the source answered in this run
    bool streamed_ = false;    // something came in this attempt
    bool look_again_ = false;  // something came in an earlier one, and none was refused since
    Clock::time_point lost_since_{};
};

}  // namespace

void run(const Settings &settings, Counters &counters, const std::atomic<bool> &stop) {
    try {
        Runner(settings, counters, stop).run();
    } catch (const Interrupted &) {
        spdlog::info("stopped before the copy was complete");
    }
}

void resnapshot(const Settings &settings, Counters &counters, const std::atomic<bool> &stop) {
    try {
        Runner(settings, counters, stop).resnapshot();
    } catch (const Interrupted &) {
        throw Failure("stopped before the copy was complete", "The next run goes on with it.");
    }
}

}  // namespace cdc::consumer

#include "stream.hpp"

#include "applier.hpp"
#include "schema_source.hpp"
#include "slot_check.hpp"

#include "../source/message_queue.hpp"
#include "../source/receiver.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <future>

namespace cdc::consumer {

namespace {

using Clock = std::chrono::steady_clock;

// The end of WAL that the server names last lies behind the header of a page that has no record yet; what it has sent
// ends before that header.
constexpr Lsn kWalPage = 8192, kLongPageHeader = 40;

constexpr std::chrono::milliseconds kRequestInterval{20};
constexpr std::chrono::milliseconds kSyncLook{20};  // whether a sync has ended, while nothing else happens

bool reaches(Lsn position, Lsn target) {
    return position >= target || (position % kWalPage == 0 && target - position <= kLongPageHeader);
}

class Streaming {
 public:
    // `target`: run() returns when everything before it is in the sink; 0: it goes on.
    Streaming(const Settings &settings, Lsn target, Sink &sink, SinkState &state, Counters &counters, Applier &applier,
              Receiver &receiver, MessageQueue &queue, const std::atomic<bool> &stop)
        : settings_(settings),
          target_(target),
          sink_(sink),
          state_(state),
          counters_(counters),
          applier_(applier),
          receiver_(receiver),
          queue_(queue),
          stop_(stop) {}

    void run(const std::function<void()> &connected) {
        try {
            go_on(connected);
            finish();
        } catch (...) {
            // A sync that failed counts for more: whoever came back to this sink could take it for durable.
            if (sync_under_way_.valid()) {
                sync_under_way_.get();
            }
            throw;
        }
    }

 private:
    void go_on(const std::function<void()> &connected) {
        for (bool first = true;;) {
            const auto now = Clock::now();
            if (may_end(now)) {
                break;
            }
            const auto latest = deadline(now);
            if (applier_.group_open() && !applier_.in_transaction() && queue_.empty()) {
                queue_.wait_for_much(latest);
            }
            for (auto message = queue_.pop(latest); message; message = queue_.pop_at_hand()) {
                if (first) {
                    connected();
                    first = false;
                }
                take(*message);
                if (group_is_full() && !applier_.in_transaction()) {
                    commit_group();
                }
            }
            if (applier_.group_open() && !applier_.in_transaction() && group_is_due()) {
                commit_group();
            }
            sync_if_due(Clock::now());
        }
    }

    void take(Message &message) {
        if (message.kind == Message::kData) {
            counters_.received_bytes += message.payload.size();
            applier_.apply(message.payload);
            return;
        }
        counters_.received_lsn = std::max(counters_.received_lsn.load(), message.lsn);
        if (!applier_.in_transaction()) {
            idle_position_ = std::max(idle_position_, message.lsn);
        }
    }

    bool group_is_full() const { return applier_.group_changes() >= static_cast<uint64_t>(settings_.group_changes); }

    bool group_is_due() const {
        const auto age = Clock::now() - applier_.group_start();
        return group_is_full() || age >= settings_.group_time ||
               (queue_.empty() && (age >= linger() || (target_ != 0 && reaches(idle_position_, target_))));
    }

    // How old a group should be at least, although nothing waits: readers of the sink should not wait either, but a
    // commit for each of many small transactions would cost more than they do. So committing takes no more than a
    // fifth of the time, and it may be rarer while the stream is behind, at the price of a tenth more of that.
    Clock::duration linger() const {
        const std::chrono::microseconds limit = settings_.group_time;
        return std::max<Clock::duration>(std::min<Clock::duration>(4 * commit_duration_, limit),
                                         std::min(applier_.group_age() / 10, limit));
    }

    void commit_group() {
        const auto start = Clock::now();
        applier_.commit();
        // Commits that also did something else, a checkpoint say, should not count for long.
        commit_duration_ = (3 * commit_duration_ + (Clock::now() - start)) / 4;
        unsynced_ = true;
    }

    Clock::time_point deadline(Clock::time_point now) {
        Clock::time_point latest = now + std::chrono::milliseconds(200);
        if (target_ != 0 && queue_.empty() && !applier_.in_transaction()) {
            if (now - last_request_ >= kRequestInterval) {
                receiver_.request_keepalive();
                last_request_ = now;
            }
            latest = std::min(latest, last_request_ + kRequestInterval);
        }
        if (applier_.group_open()) {
            return applier_.in_transaction() ? latest : std::min(latest, applier_.group_start() + linger());
        }
        if (sync_under_way_.valid()) {
            return now + kSyncLook;
        }
        return unsynced_ ? std::min(latest, last_sync_ + settings_.sync_interval) : latest;
    }

    bool may_end(Clock::time_point now) {
        if (stop_) {
            if (stop_since_ == Clock::time_point()) {
                stop_since_ = now;
            }
            if (!applier_.in_transaction()) {
                return true;
            }
            if (now - stop_since_ > settings_.stop_timeout) {
                spdlog::info("the open transaction is left to the next run");
                applier_.rollback();
                return true;
            }
            return false;
        }
        if (target_ == 0 || applier_.in_transaction() || applier_.group_open()) {
            return false;
        }
        return reaches(std::max(state_.position, idle_position_), target_);
    }

    void sync_if_due(Clock::time_point now) {
        if (sync_under_way_.valid() && sync_under_way_.wait_for(Clock::duration(0)) != std::future_status::timeout) {
            end_sync();
        }
        if (applier_.group_open()) {
            return;
        }
        // A database that has nothing for the sink must advance, or its slot would retain WAL for ever. The position is
        // stored first: behind the confirmed one, the sink would find a gap.
        if (idle_position_ > state_.position && now - last_idle_ >= settings_.idle_interval) {
            applier_.advance(idle_position_);
            last_idle_ = now;
            unsynced_ = true;
        }
        if (unsynced_ && !sync_under_way_.valid() && now - last_sync_ >= settings_.sync_interval) {
            sink_.tidy();
            start_sync();
            last_sync_ = now;
        }
    }

    // A disk takes its time, which readers of the sink need not wait for.
    void start_sync() {
        unsynced_ = false;
        synced_position_ = state_.position;
        const bool beside = sink_.syncs_beside();
        // Where there is no thread to be had, end_sync() does it.
        sync_under_way_ = std::async(beside ? std::launch::async | std::launch::deferred : std::launch::deferred,
                                     [this] { sink_.sync(); });
        if (!beside) {
            end_sync();
        }
    }

    // Waits for it, if one is under way.
    void end_sync() {
        if (!sync_under_way_.valid()) {
            return;
        }
        sync_under_way_.get();
        receiver_.confirm(synced_position_);
        counters_.confirmed_lsn = synced_position_;
    }

    void finish() {
        if (applier_.group_open()) {
            commit_group();
        }
        if (!applier_.in_transaction()) {
            applier_.advance(idle_position_);
        }
        end_sync();
        sink_.tidy();
        start_sync();
        end_sync();
    }

    const Settings &settings_;
    const Lsn target_;
    Sink &sink_;
    SinkState &state_;
    Counters &counters_;
    Applier &applier_;
    Receiver &receiver_;
    MessageQueue &queue_;
    const std::atomic<bool> &stop_;

    Lsn idle_position_ = 0;  // everything before it that is for the sink was received
    bool unsynced_ = false;
    Lsn synced_position_ = 0;
    std::future<void> sync_under_way_;
    Clock::duration commit_duration_{};  // of late
    Clock::time_point last_sync_ = Clock::now();
    Clock::time_point last_idle_ = Clock::now();
    Clock::time_point last_request_{};
    Clock::time_point stop_since_{};
};

std::vector<std::pair<std::string, std::string>> plugin_options(const Settings &settings) {
    std::vector<std::pair<std::string, std::string>> options = {{"tables", settings.tables}};
    if (!settings.exclude_tables.empty()) {
        options.emplace_back("exclude_tables", settings.exclude_tables);
    }
    return options;
}

}  // namespace

void stream(const Settings &settings, Source &source, Sink &sink, StreamReader &reader, SinkState &state, Lsn target,
            Counters &counters, const std::atomic<bool> &stop, const std::function<void()> &connected) {
    SchemaOfSource schema(source);
    reader.restart();
    Applier applier(reader, sink, state, schema, counters);
    MessageQueue queue(settings.queue_bytes);
    ReceiverOptions options;
    options.conninfo = settings.source;
    options.slot = settings.slot;
    options.start = state.position;
    options.plugin_options = plugin_options(settings);
    options.status_interval = settings.status_interval;
    // What a run before this one committed may not be durable yet, and the receiver confirms where it starts.
    if (sink.remembers()) {
        sink.save_state(state);
    }
    Receiver receiver(options, queue);
    // Nobody else can move the slot from here on; before, the server would have started behind a gap without a word.
    if (sink.remembers()) {
        check_slot(settings.slot, source, state.position);
    }
    spdlog::info("streaming from {} into {}", lsn_text(state.position), sink.name());
    try {
        Streaming(settings, target, sink, state, counters, applier, receiver, queue, stop).run(connected);
    } catch (...) {
        applier.rollback();
        throw;
    }
}

}  // namespace cdc::consumer

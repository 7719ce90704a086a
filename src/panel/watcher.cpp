// The thread that looks, and what others get of it.
#include "watcher.hpp"

#include "../consumer/pipeline/retry.hpp"
#include "../program/clock.hpp"
#include "../program/version.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace cdc::panel {

using consumer::ConnectionLost;
using consumer::Failure;
using program::unix_seconds;
using Json = nlohmann::json;

namespace {

// A server that was restarted is to be seen soon.
constexpr std::chrono::milliseconds kMaxPause{5000};
constexpr std::chrono::milliseconds kRunbookPatience{1000};

double seconds(std::chrono::steady_clock::duration time) {
    return std::chrono::duration<double>(time).count();
}

}  // namespace

Watcher::Watcher(const Settings &settings)
    : settings_(settings), history_(std::chrono::duration<double>(settings.history).count()) {
    try {
        look();
    } catch (const ConnectionLost &error) {
        spdlog::warn("{}", error.what());
        fail(error.what(), "");
    }
    thread_ = std::thread([this] { run(); });
}

Watcher::~Watcher() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    stopped_.notify_all();
    thread_.join();
}

void Watcher::look() {
    const std::lock_guard connection_lock(connection_mutex_);
    if (!connection_) {
        connection_.emplace(connect(settings_.source));
        load_history(*connection_, history_);
        spdlog::info("connected to the server");
    }
    const auto start = Clock::now();
    auto view = std::make_shared<View>(panel::look(*connection_));
    const auto seen = Clock::now();
    const int64_t now = history_.bucket(unix_seconds());
    for (const Json &slot : view->slots) {
        if (slot["retained_bytes"].is_number()) {
            history_.add(slot["slot_name"], now, slot["retained_bytes"]);
        }
    }
    history_.trim(now);
    runbooks_.clear();
    auto text = std::make_shared<std::string>(data(*view, history_));
    const std::lock_guard lock(mutex_);
    view_ = std::move(view);
    data_ = std::move(text);
    seen_ = seen;
    condition_.up = true;
    condition_.error.clear();
    condition_.hint.clear();
    condition_.look_seconds = seconds(seen - start);
    ++condition_.looks;
}

void Watcher::fail(const std::string &error, const std::string &hint) {
    const std::lock_guard lock(mutex_);
    condition_.up = false;
    condition_.error = error;
    condition_.hint = hint;
    ++condition_.looks;
    ++condition_.failures;
}

void Watcher::run() {
    consumer::Retry retry(std::min(kMaxPause, std::max(settings_.interval, std::chrono::milliseconds(1000))), stop_);
    bool looked = true;
    while (!stop_) {
        if (looked) {
            std::unique_lock lock(mutex_);
            stopped_.wait_for(lock, settings_.interval, [this] { return stop_.load(); });
            if (stop_) {
                return;
            }
        }
        try {
            look();
            looked = true;
            retry.reset();
            continue;
        } catch (const Failure &failure) {  // it may be mended: a right that is granted, an extension that is created
            fail(failure.what(), failure.hint());
        } catch (const std::exception &error) {
            fail(error.what(), "");
        }
        looked = false;
        {
            const std::lock_guard connection_lock(connection_mutex_);
            connection_.reset();
        }
        retry.wait(condition().error.c_str());
    }
}

Condition Watcher::condition() const {
    const std::lock_guard lock(mutex_);
    Condition condition = condition_;
    if (view_) {
        condition.age_seconds = seconds(Clock::now() - seen_);
    }
    return condition;
}

std::shared_ptr<const View> Watcher::view() const {
    const std::lock_guard lock(mutex_);
    return view_;
}

std::string Watcher::data(const View &view, const History &history) const {
    const int64_t now = history.bucket(unix_seconds());
    Json slots = view.slots;
    for (Json &slot : slots) {
        slot["history"] = history.points(slot["slot_name"], now);
    }
    return Json{{"server", view.server},
                {"slots", std::move(slots)},
                {"alerts", view.alerts},
                {"history_step_seconds", history.step()}}
        .dump();
}

std::string Watcher::json() const {
    const Condition now = condition();
    std::shared_ptr<const std::string> data;
    {
        const std::lock_guard lock(mutex_);
        data = data_;
    }
    const Json panel{{"version", program::kVersion},
                     {"up", now.up},
                     {"error", now.error},
                     {"hint", now.hint},
                     {"age_seconds", now.age_seconds ? Json(*now.age_seconds) : Json()},
                     {"interval_seconds", std::chrono::duration<double>(settings_.interval).count()}};
    return "{\"panel\":" + panel.dump(-1, ' ', false, Json::error_handler_t::replace) +
           ",\"data\":" + (data ? *data : "null") + "}";
}

std::optional<std::string> Watcher::runbook(const std::string &slot) {
    const std::shared_ptr<const View> seen = view();
    const auto is_slot = [&](const Json &row) { return row["slot_name"] == slot; };
    if (!seen || std::none_of(seen->slots.begin(), seen->slots.end(), is_slot)) {
        return std::nullopt;
    }
    const std::unique_lock lock(connection_mutex_, kRunbookPatience);
    if (!lock || !connection_) {
        throw ConnectionLost("the server does not answer");
    }
    const auto found = runbooks_.find(slot);
    if (found != runbooks_.end()) {
        return found->second;
    }
    // If this breaks the connection, the next look notices.
    return runbooks_[slot] = panel::runbook(*connection_, slot).dump();
}

}  // namespace cdc::panel

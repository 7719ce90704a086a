// Looks at the server, again and again, over one connection, and keeps what it saw. Those who ask get that, so that the
// work at the server does not depend on how many ask, and there is an answer while the server is away.
#pragma once

#include "command_line.hpp"
#include "history.hpp"
#include "view.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace cdc::panel {

// How the looks went.
struct Condition {
    bool up = false;  // the last one was answered
    std::string error = "no look at the server yet";
    std::string hint;
    std::optional<double> age_seconds;  // of what was seen last
    double look_seconds = 0;            // how long the server took for it
    uint64_t looks = 0;
    uint64_t failures = 0;
};

class Watcher {
 public:
    // Takes the first look. What will not be mended by waiting is thrown: a role without rights, no extension.
    explicit Watcher(const Settings &settings);
    ~Watcher();
    Watcher(const Watcher &) = delete;
    Watcher &operator=(const Watcher &) = delete;

    Condition condition() const;
    std::shared_ptr<const View> view() const;  // what was seen last; nullptr: nothing yet
    // As the page takes it: {"panel": ..., "data": ...}.
    std::string json() const;
    // The steps for a slot, as JSON; asks the server at most once for each slot and look. Nullopt if there is no such
    // slot. Throws if the server does not answer, or others wait for it.
    std::optional<std::string> runbook(const std::string &slot);

 private:
    using Clock = std::chrono::steady_clock;

    void look();
    void run();
    void fail(const std::string &error, const std::string &hint);
    std::string data(const View &view, const History &history) const;

    const Settings settings_;

    // The connection, and what belongs to its thread or to whoever asks for a runbook.
    std::timed_mutex connection_mutex_;
    std::optional<consumer::Connection> connection_;
    History history_;
    std::map<std::string, std::string> runbooks_;  // since the last look

    mutable std::mutex mutex_;
    Condition condition_;
    std::shared_ptr<const View> view_;
    std::shared_ptr<const std::string> data_;
    Clock::time_point seen_;

    std::condition_variable stopped_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace cdc::panel

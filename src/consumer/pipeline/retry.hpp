// Waiting between attempts to reach a server: twice as long each time, with a random part, up to a limit.
#pragma once

#include <atomic>
#include <chrono>

namespace cdc::consumer {

class Retry {
 public:
    Retry(std::chrono::milliseconds max_delay, const std::atomic<bool> &stop) : max_delay_(max_delay), stop_(stop) {}

    // To be called when an attempt got through.
    void reset() { delay_ = kFirst; }
    // Logs why, and waits; returns early when a stop is asked for.
    void wait(const char *why);

 private:
    static constexpr std::chrono::milliseconds kFirst{100};

    std::chrono::milliseconds max_delay_;
    const std::atomic<bool> &stop_;
    std::chrono::milliseconds delay_ = kFirst;
};

}  // namespace cdc::consumer

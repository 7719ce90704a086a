// How far a run is: one line that changes on a terminal, or a line in the log now and then.
#pragma once

#include "command_line.hpp"

#include "pipeline/counters.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace cdc::consumer {

// Makes texts of counters, with rates since the text before.
class ProgressMeter {
 public:
    using Clock = std::chrono::steady_clock;

    ProgressMeter(const Counters &counters, Clock::time_point now);
    std::string text(Clock::time_point now);

 private:
    struct Sample {
        uint64_t changes = 0;
        uint64_t transactions = 0;
        uint64_t bytes = 0;
        uint64_t rows = 0;
    };
    Sample sample() const;

    const Counters &counters_;
    Clock::time_point then_;
    Sample before_;
    int phase_ = 0;
    uint64_t rows_at_start_ = 0;  // of the snapshot: the counter goes on over several
};

// Shows it, in a thread of its own, as long as this object is there.
class Progress {
 public:
    Progress(const Counters &counters, ProgressMode mode);
    ~Progress();
    Progress(const Progress &) = delete;
    Progress &operator=(const Progress &) = delete;

 private:
    void show_line();
    void show_log();
    // False when it is time to end.
    bool wait(std::chrono::milliseconds time);

    const Counters &counters_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool done_ = false;
    std::thread thread_;
};

// What kAuto stands for here.
ProgressMode resolve(ProgressMode mode);

// "1234 bytes", "12 kB", "3.4 MB".
std::string size_text(uint64_t bytes);

}  // namespace cdc::consumer

// Progress from counters.
#include "progress.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace cdc::consumer {

namespace {

using namespace std::chrono_literals;

constexpr int kSnapshot = 1;
constexpr int kStreaming = 2;
constexpr int kReconnecting = 3;

constexpr auto kLinePeriod = 500ms;
constexpr auto kSnapshotLogPeriod = 10s;
constexpr auto kStreamLogPeriod = 60s;

// Columns of the terminal.
size_t terminal_width() {
    winsize size{};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 10 ? size.ws_col : 80;
}

// Back to the start of the line, which is erased.
constexpr char kErase[] = "\r\x1b[K";

}  // namespace

std::string size_text(uint64_t bytes) {
    constexpr const char *kUnits[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    if (bytes < 1024) {
        return std::to_string(bytes) + " bytes";
    }
    double value = static_cast<double>(bytes) / 1024;
    size_t unit = 0;
    while (value >= 1023.5 && unit + 1 < std::size(kUnits)) {
        value /= 1024;
        ++unit;
    }
    return fmt::format("{:.{}f} {}", value, value < 9.95 ? 1 : 0, kUnits[unit]);
}

ProgressMode resolve(ProgressMode mode) {
    return mode != ProgressMode::kAuto ? mode : isatty(STDERR_FILENO) ? ProgressMode::kLine : ProgressMode::kLog;
}

ProgressMeter::ProgressMeter(const Counters &counters, Clock::time_point now)
    : counters_(counters), then_(now), before_(sample()), rows_at_start_(before_.rows) {}

ProgressMeter::Sample ProgressMeter::sample() const {
    return {counters_.inserts + counters_.updates + counters_.deletes + counters_.truncates, counters_.transactions,
            counters_.received_bytes, counters_.snapshot_rows};
}

std::string ProgressMeter::text(Clock::time_point now) {
    const Sample current = sample();
    const double seconds = std::max(std::chrono::duration<double>(now - then_).count(), 0.001);
    const auto rate = [&](uint64_t Sample::*count) {
        return static_cast<uint64_t>(std::llround(static_cast<double>(current.*count - before_.*count) / seconds));
    };
    const int phase = counters_.phase;
    if (phase == kSnapshot && phase_ != kSnapshot) {
        rows_at_start_ = before_.rows;
    }
    std::string text;
    if (phase == kSnapshot) {
        const uint64_t blocks = counters_.snapshot_blocks;
        const uint64_t percent =
            blocks == 0 ? 0 : std::min<uint64_t>(100, 100 * counters_.snapshot_blocks_done / blocks);
        text =
            fmt::format("snapshot: {} of {} tables, {} rows, {} %, {} rows/s", counters_.snapshot_tables_done.load(),
                        counters_.snapshot_tables.load(), current.rows - rows_at_start_, percent, rate(&Sample::rows));
    } else if (phase == kStreaming) {
        const uint64_t received = counters_.received_lsn;
        const uint64_t confirmed = counters_.confirmed_lsn;
        text = fmt::format("streaming: {} changes/s, {} transactions/s, {}/s; {} unconfirmed", rate(&Sample::changes),
                           rate(&Sample::transactions), size_text(rate(&Sample::bytes)),
                           size_text(received > confirmed ? received - confirmed : 0));
    } else {
        text = phase == kReconnecting ? "waiting to reconnect" : "starting";
    }
    phase_ = phase;
    before_ = current;
    then_ = now;
    return text;
}

Progress::Progress(const Counters &counters, ProgressMode mode) : counters_(counters) {
    const ProgressMode shown = resolve(mode);
    if (shown == ProgressMode::kLine) {
        thread_ = std::thread([this] { show_line(); });
    } else if (shown == ProgressMode::kLog) {
        thread_ = std::thread([this] { show_log(); });
    }
}

Progress::~Progress() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        done_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

bool Progress::wait(std::chrono::milliseconds time) {
    std::unique_lock<std::mutex> lock(mutex_);
    return !changed_.wait_for(lock, time, [this] { return done_; });
}

// A line of the log erases this one first (see set_up_log() in main.cpp).
void Progress::show_line() {
    ProgressMeter meter(counters_, ProgressMeter::Clock::now());
    while (wait(kLinePeriod)) {
        const std::string text = meter.text(ProgressMeter::Clock::now()).substr(0, terminal_width() - 1);
        std::fputs((kErase + text).c_str(), stderr);
    }
    std::fputs(kErase, stderr);
}

void Progress::show_log() {
    auto shown = ProgressMeter::Clock::now();
    ProgressMeter meter(counters_, shown);
    while (wait(1s)) {
        const auto now = ProgressMeter::Clock::now();
        const int phase = counters_.phase;
        if ((phase == kSnapshot && now - shown >= kSnapshotLogPeriod) ||
            (phase == kStreaming && now - shown >= kStreamLogPeriod)) {
            spdlog::info(meter.text(now));
            shown = now;
        }
    }
}

}  // namespace cdc::consumer

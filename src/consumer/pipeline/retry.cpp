#include "retry.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>
#include <thread>

namespace cdc::consumer {

void Retry::wait(const char *why) {
    thread_local std::minstd_rand random{std::random_device{}()};
    const std::chrono::milliseconds jitter{static_cast<long>(random() % static_cast<unsigned>(delay_.count() / 4 + 1))};
    const auto delay = std::min(delay_ + jitter, max_delay_);
    spdlog::warn("{}; next attempt in {:.1f} s", why, std::chrono::duration<double>(delay).count());
    const auto end = std::chrono::steady_clock::now() + delay;
    while (!stop_ && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    delay_ = std::min(delay_ * 2, max_delay_);
}

}  // namespace cdc::consumer

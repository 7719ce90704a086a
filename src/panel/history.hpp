// What slots retained over time: so many points for each, whatever the span, so that neither memory nor the page grow.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

namespace cdc::panel {

class History {
 public:
    static constexpr int64_t kPoints = 60;

    explicit History(double seconds) : step_(seconds / kPoints) {}

    double step() const { return step_; }  // seconds from point to point

    // Number of the point that a moment (in Unix time) belongs to.
    int64_t bucket(double time) const { return static_cast<int64_t>(time / step_); }
    // The largest value of a point counts, so that no peak is lost. Older than the last point is ignored.
    void add(const std::string &slot, int64_t bucket, int64_t bytes);
    // Forgets what is too old.
    void trim(int64_t now);
    // The slot's points up to `now`, the oldest first; null where nothing is known.
    nlohmann::json points(const std::string &slot, int64_t now) const;

 private:
    struct Point {
        int64_t bucket;
        int64_t bytes;
    };

    double step_;
    std::map<std::string, std::deque<Point>> slots_;
};

}  // namespace cdc::panel

// Points of slots, in the order of time.
#include "history.hpp"

#include <algorithm>

namespace cdc::panel {

void History::add(const std::string &slot, int64_t bucket, int64_t bytes) {
    std::deque<Point> &points = slots_[slot];
    if (points.empty() || points.back().bucket < bucket) {
        points.push_back({bucket, bytes});
    } else if (points.back().bucket == bucket) {
        points.back().bytes = std::max(points.back().bytes, bytes);
    }
}

void History::trim(int64_t now) {
    for (auto slot = slots_.begin(); slot != slots_.end();) {
        std::deque<Point> &points = slot->second;
        while (!points.empty() && points.front().bucket <= now - kPoints) {
            points.pop_front();
        }
        slot = points.empty() ? slots_.erase(slot) : std::next(slot);
    }
}

nlohmann::json History::points(const std::string &slot, int64_t now) const {
    nlohmann::json out = nlohmann::json::array();
    const auto found = slots_.find(slot);
    if (found == slots_.end()) {
        return out;
    }
    for (const Point &point : found->second) {
        if (point.bucket > now - kPoints && point.bucket <= now) {
            while (static_cast<int64_t>(out.size()) < point.bucket - (now - kPoints) - 1) {
                out.push_back(nullptr);
            }
            out.push_back(point.bytes);
        }
    }
    while (static_cast<int64_t>(out.size()) < kPoints) {
        out.push_back(nullptr);
    }
    return out;
}

}  // namespace cdc::panel

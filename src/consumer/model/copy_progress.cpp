#include "copy_progress.hpp"

#include <algorithm>

namespace cdc::consumer {

std::vector<BlockRange> blocks_left(const std::vector<CopiedRange> &ranges, uint32_t relation_id) {
    std::vector<BlockRange> done;
    for (const CopiedRange &range : ranges) {
        if (range.relation_id == relation_id) {
            done.push_back(range.blocks);
        }
    }
    std::sort(done.begin(), done.end(),
              [](const BlockRange &left, const BlockRange &right) { return left.first < right.first; });
    std::vector<BlockRange> left;
    int64_t next = 0;
    for (const BlockRange &range : done) {
        if (range.first > next) {
            left.push_back({next, range.first});
        }
        if (!range.end) {
            return left;
        }
        next = std::max(next, *range.end);
    }
    left.push_back({next, std::nullopt});
    return left;
}

}  // namespace cdc::consumer

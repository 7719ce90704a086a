// How far a copy of tables has come: parts of tables that are complete, and those that are left.
#pragma once

#include "relation.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace cdc::consumer {

// Blocks of a table's main fork, `end` not included; without one, to the end of the table, wherever that is.
struct BlockRange {
    int64_t first = 0;
    std::optional<int64_t> end{};
};

// A part of a table that is in the copy in the making, as of some moment behind the state's position.
struct CopiedRange {
    uint32_t relation_id = 0;
    uint32_t filenode = 0;  // the file that the blocks are of: another one has the rows in other places
    BlockRange blocks{};
};

// What an interrupted snapshot has left in the sink.
struct CopyProgress {
    std::vector<Relation> relations;  // all that it was begun for
    std::vector<CopiedRange> ranges;  // complete ones
};

// Parts of a relation that none of the ranges covers, in order.
std::vector<BlockRange> blocks_left(const std::vector<CopiedRange> &ranges, uint32_t relation_id);

}  // namespace cdc::consumer

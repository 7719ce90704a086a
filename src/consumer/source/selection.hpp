// Which tables of the source the patterns select, and whether they can be captured.
#pragma once

#include "source.hpp"

#include <string>
#include <vector>

namespace cdc::consumer {

// See Source::tables().
std::vector<SourceTable> select_tables(Connection &connection, const std::string &patterns,
                                       const std::string &exclude_patterns);

}  // namespace cdc::consumer

// Positions in the WAL.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cdc::consumer {

using Lsn = uint64_t;  // 0: none

// "16/B374D848"
std::string lsn_text(Lsn lsn);
std::optional<Lsn> parse_lsn(std::string_view text);

}  // namespace cdc::consumer

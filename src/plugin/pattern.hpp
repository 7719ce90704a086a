// Comma-separated lists of patterns. In a pattern, * stands for any characters, also none; a backslash takes the next
// character literally; and a dot separates schema and table. Names are compared exactly, as they are stored.
#pragma once

#include <string_view>

namespace cdc::plugin {

// What is wrong with a list, as a sentence; nullptr if nothing is. `parts`: how many dot-separated parts each pattern
// must have; with 1, dots are ordinary characters.
const char *check_patterns(std::string_view list, int parts);

// Whether one of the patterns matches the name, given as its parts. The list must have passed check_patterns().
bool match_patterns(std::string_view list, const std::string_view *name, int parts);

}  // namespace cdc::plugin

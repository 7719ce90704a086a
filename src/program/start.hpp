// Start and end of a program: its standard streams, its log, and what it says when it fails.
#pragma once

#include <functional>
#include <string>

namespace cdc::program {

// Logs to standard error, with times in UTC. `prefix` goes in front of each line.
void set_up_log(const char *program, const std::string &level, const std::string &prefix = {});

// Runs `work`, and turns what it throws into one line on standard error, perhaps a hint, and an exit code.
int run(const char *program, const std::function<int()> &work);

// To standard output; a full disk or a reader that went away must not pass as success.
void print(const std::string &text);

}  // namespace cdc::program

// The command line, read and checked.
#pragma once

#include "../program/option_values.hpp"

#include <chrono>
#include <string>

namespace cdc::panel {

struct Settings {
    std::string source;  // conninfo
    program::Address listen{"127.0.0.1", 8080};
    bool allow_remote = false;
    std::chrono::milliseconds interval{5000};    // between two looks at the server
    std::chrono::milliseconds history{1800000};  // what the curves show
};

struct CommandLine {
    std::string text;  // what is to be printed and nothing else: the help, or the version
    Settings settings;
    std::string log_level = "info";  // trace, debug, info, warning, error
};

// Throws Failure (ExitCode::kUsage).
CommandLine parse_command_line(int argc, const char *const *argv);

// Whether this is a name or number of the machine itself, which others cannot reach.
bool is_loopback(const std::string &host);

}  // namespace cdc::panel

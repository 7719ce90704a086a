// The command line and the config file, read and checked.
#pragma once

#include "pipeline/settings.hpp"

#include <string>

namespace cdc::consumer {

enum class Command { kPrint, kRun, kStatus, kResnapshot, kDropSlot, kReplay };

// How a run shows how far it is: kAuto is kLine on a terminal, otherwise kLog.
enum class ProgressMode { kAuto, kLine, kLog, kNone };

struct CommandLine {
    Command command = Command::kPrint;
    std::string text;  // kPrint: the help, or the version
    Settings settings;
    std::string file;   // kReplay: what to apply
    bool json = false;  // kStatus
    ProgressMode progress = ProgressMode::kAuto;
    std::string log_level = "info";  // trace, debug, info, warning, error
};

// Throws Failure (ExitCode::kUsage).
CommandLine parse_command_line(int argc, const char *const *argv);

}  // namespace cdc::consumer

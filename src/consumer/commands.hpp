// What the commands do, around the pipeline.
#pragma once

#include "command_line.hpp"

#include "model/failure.hpp"

#include <atomic>

namespace cdc::consumer {

// Throws what ends the program with a message.
ExitCode execute(const CommandLine &line, const std::atomic<bool> &stop);

}  // namespace cdc::consumer

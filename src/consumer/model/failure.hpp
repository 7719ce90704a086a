// What ends a run, told in one line: the message, and what to do about it.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

namespace cdc::consumer {

// The program's exit codes, as `cdc_consumer --help` lists them.
enum class ExitCode : int {
    kDone = 0,
    kFailed = 1,    // something outside failed: a connection, the sink, a file
    kUsage = 2,     // the command line or the config file
    kLostSlot = 3,  // the slot cannot go on from the sink's position: see --on-lost-slot
    kSchema = 4,    // a change of a table that cannot be followed: see --on-rewrite
};

// Not to be mended by trying again.
class Failure : public std::runtime_error {
 public:
    explicit Failure(const std::string &message, std::string hint = {}, ExitCode code = ExitCode::kFailed)
        : std::runtime_error(message), hint_(std::move(hint)), code_(code) {}

    const std::string &hint() const { return hint_; }  // a sentence; empty if there is none
    ExitCode code() const { return code_; }

 private:
    std::string hint_;
    ExitCode code_;
};

// A stop was asked for, in the midst of what cannot go on later.
class Interrupted : public std::exception {};

// A server went away, or said that it cannot serve now: worth another try, later. Of the source and of sinks alike.
class ConnectionLost : public std::runtime_error {
 public:
    using std::runtime_error::runtime_error;
};

}  // namespace cdc::consumer

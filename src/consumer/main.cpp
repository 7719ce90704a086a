// cdc_consumer: keeps a copy of PostgreSQL tables. Start and end of the program.
#include "command_line.hpp"
#include "commands.hpp"
#include "progress.hpp"

#include "../program/start.hpp"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace {

using namespace cdc::consumer;

std::atomic<bool> stop{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

// The first signal asks for a clean end; the second one does not wait for it.
extern "C" void on_signal(int signal) {
    if (stop.exchange(true)) {
        _exit(128 + signal);
    }
}

void set_up_signals() {
    struct sigaction action {};
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;  // the flag is looked at often enough
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

// A line of progress that stands on the terminal is erased by what is logged.
void set_up_log(const CommandLine &line) {
    const bool erase = resolve(line.progress) == ProgressMode::kLine;
    cdc::program::set_up_log("cdc_consumer", line.log_level, erase ? "\r\x1b[K" : "");
}

}  // namespace

int main(int argc, char **argv) {
    return cdc::program::run("cdc_consumer", [&] {
        const CommandLine line = parse_command_line(argc, argv);
        set_up_log(line);
        set_up_signals();
        return static_cast<int>(execute(line, stop));
    });
}

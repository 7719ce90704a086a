// cdc_panel: replication slots as a web page and as metrics. Start and end of the program.
#include "command_line.hpp"
#include "server.hpp"
#include "watcher.hpp"

#include "../program/start.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <string>

namespace {

using namespace cdc::panel;

// Before there are threads: all of them leave these signals to the one that waits.
sigset_t block_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return signals;
}

void serve(const Settings &settings) {
    const sigset_t signals = block_signals();
    Watcher watcher(settings);
    const Server server(settings, watcher);
    const std::string &host = settings.listen.host;
    const bool bracketed = host.find(':') != std::string::npos;
    spdlog::info("panel at http://{}:{}/", bracketed ? "[" + host + "]" : host, server.port());
    if (settings.allow_remote && !is_loopback(host)) {
        spdlog::warn("other machines can reach it, without a password and without encryption");
    }
    int signal = 0;
    sigwait(&signals, &signal);
    // The second one does not wait for a server that does not answer.
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    spdlog::info("stopped");
}

}  // namespace

int main(int argc, char **argv) {
    return cdc::program::run("cdc_panel", [&] {
        const CommandLine line = parse_command_line(argc, argv);
        if (!line.text.empty()) {
            cdc::program::print(line.text);
        } else {
            cdc::program::set_up_log("cdc_panel", line.log_level);
            serve(line.settings);
        }
        return 0;
    });
}

// cdc_consumer: keeps a copy of PostgreSQL tables. Start and end of the program.
#include "command_line.hpp"
#include "commands.hpp"
#include "progress.hpp"

#include "model/failure.hpp"
#include "postgres/connection.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

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

// No file or connection of ours may become standard output or error, where others would write into it. Reading only:
// writing to a standard output that was closed stays an error.
void fill_closed_streams() {
    int descriptor = 0;
    do {
        descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
    } while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor >= 0) {
        close(descriptor);
    }
}

void set_up_log(const CommandLine &line) {
    spdlog::set_default_logger(spdlog::stderr_color_mt("cdc_consumer"));
    spdlog::set_level(spdlog::level::from_str(line.log_level));
    // A line of progress that stands on the terminal is erased by what is logged.
    const bool erase = resolve(line.progress) == ProgressMode::kLine;
    spdlog::set_pattern(std::string(erase ? "\r\x1b[K" : "") + "%Y-%m-%d %H:%M:%S.%eZ %^%l%$ %v",
                        spdlog::pattern_time_type::utc);
}

// Messages of libpq have line feeds and tabs.
std::string one_line(const std::string &text) {
    std::string out;
    for (const char c : text) {
        const bool space = c == '\n' || c == '\t' || c == '\r' || c == ' ';
        if (!space) {
            out += c;
        } else if (!out.empty() && out.back() != ' ') {
            out += ' ';
        }
    }
    while (!out.empty() && out.back() == ' ') {
        out.pop_back();
    }
    return without_passwords(out);
}

int complain(const std::string &message, const std::string &hint, ExitCode code) {
    std::fprintf(stderr, "cdc_consumer: %s\n", one_line(message).c_str());
    if (!hint.empty()) {
        std::fprintf(stderr, "hint: %s\n", one_line(hint).c_str());
    }
    return static_cast<int>(code);
}

}  // namespace

int main(int argc, char **argv) {
    try {
        fill_closed_streams();
        const CommandLine line = parse_command_line(argc, argv);
        set_up_log(line);
        set_up_signals();
        return static_cast<int>(execute(line, stop));
    } catch (const Failure &failure) {
        return complain(failure.what(), failure.hint(), failure.code());
    } catch (const ServerError &error) {
        const std::string detail = error.detail().empty() ? "" : " (" + error.detail() + ")";
        return complain(error.what() + detail, error.hint(), ExitCode::kFailed);
    } catch (const std::bad_alloc &) {
        return complain("out of memory", "", ExitCode::kFailed);
    } catch (const std::exception &error) {
        return complain(error.what(), "", ExitCode::kFailed);
    }
}

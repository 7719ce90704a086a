// Start and end of a program.
#include "start.hpp"

#include "option_values.hpp"

#include "../consumer/model/failure.hpp"
#include "../consumer/postgres/connection.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <new>

namespace cdc::program {

using consumer::ExitCode;
using consumer::Failure;
using consumer::one_line;

namespace {

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

int complain(const char *program, const std::string &message, const std::string &hint, ExitCode code) {
    std::fprintf(stderr, "%s: %s\n", program, without_passwords(one_line(message)).c_str());
    if (!hint.empty()) {
        std::fprintf(stderr, "hint: %s\n", without_passwords(one_line(hint)).c_str());
    }
    return static_cast<int>(code);
}

}  // namespace

void set_up_log(const char *program, const std::string &level, const std::string &prefix) {
    spdlog::set_default_logger(spdlog::stderr_color_mt(program));
    spdlog::set_level(spdlog::level::from_str(level));
    spdlog::set_pattern(prefix + "%Y-%m-%d %H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
}

int run(const char *program, const std::function<int()> &work) {
    try {
        fill_closed_streams();
        return work();
    } catch (const Failure &failure) {
        return complain(program, failure.what(), failure.hint(), failure.code());
    } catch (const consumer::ServerError &error) {
        const std::string detail = error.detail().empty() ? "" : " (" + error.detail() + ")";
        return complain(program, error.what() + detail, error.hint(), ExitCode::kFailed);
    } catch (const std::bad_alloc &) {
        return complain(program, "out of memory", "", ExitCode::kFailed);
    } catch (const std::exception &error) {
        return complain(program, error.what(), "", ExitCode::kFailed);
    }
}

void print(const std::string &text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
        throw Failure("cannot write to standard output");
    }
}

}  // namespace cdc::program

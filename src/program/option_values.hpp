// The values of options: what they may be, and what is said about those that are refused.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cdc::program {

// Throws Failure (ExitCode::kUsage).
[[noreturn]] void refuse(const std::string &message, const std::string &hint = "See --help.");

std::string_view trim(std::string_view text);

struct Unit {
    std::string_view name;
    int64_t size;
};
// A whole number and its unit, in the smallest unit, or -1 if the text is not that. Capped far from overflow.
int64_t with_unit(std::string_view text, std::initializer_list<Unit> units);

// These refuse what does not fit.
std::chrono::milliseconds parse_time(const std::string &option, const std::string &text,
                                     std::chrono::milliseconds least, std::chrono::milliseconds most);
int64_t parse_count(const std::string &option, const std::string &text, int64_t least, int64_t most);
void check_conninfo(const std::string &option, const std::string &conninfo);

struct Address {
    std::string host;  // IPv6 without its brackets
    int port = 0;
};
// ADDRESS:PORT, and nothing else that an HTTP server would take for more than that.
Address parse_address(const std::string &option, const std::string &text, int least_port);

template <typename Choice>
Choice parse_choice(const std::string &option, const std::string &text,
                    const std::vector<std::pair<std::string, Choice>> &choices) {
    std::string names;
    for (const auto &[name, choice] : choices) {
        if (name == text) {
            return choice;
        }
        names += (names.empty() ? "" : ", ") + name;
    }
    refuse(option + ": there is no '" + text + "'", "It may be one of: " + names + ".");
}

// The text without the passwords of connection strings: for messages that quote what was given.
std::string without_passwords(const std::string &text);

}  // namespace cdc::program

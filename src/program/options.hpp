// Options by CLI11, with this project's own help and messages. Compiles slowly: for the files that define options only.
#pragma once

#include "option_values.hpp"

#include <CLI/CLI.hpp>

#include <functional>

namespace cdc::program {

// Calls `set` for each value that is given.
CLI::Option *add(CLI::App &app, const std::string &name, std::function<void(const std::string &)> set);
void add_text(CLI::App &app, const std::string &name, std::string &target);
void add_time(CLI::App &app, const std::string &name, std::chrono::milliseconds &target,
              std::chrono::milliseconds least, std::chrono::milliseconds most);

template <typename Number>
void add_count(CLI::App &app, const std::string &name, Number &target, int64_t least, int64_t most) {
    add(app, name, [=, &target](const std::string &value) {
        target = static_cast<Number>(parse_count(name, value, least, most));
    });
}

template <typename Choice>
void add_choice(CLI::App &app, const std::string &name, Choice &target,
                std::vector<std::pair<std::string, Choice>> choices) {
    add(app, name, [name, &target, choices = std::move(choices)](const std::string &value) {
        target = parse_choice(name, value, choices);
    });
}

void add_log_level(CLI::App &app, std::string &target);

enum class Asked { kWork, kHelp, kVersion };
// Refuses what is not an option of `app`.
Asked parse(CLI::App &app, int argc, const char *const *argv);

}  // namespace cdc::program

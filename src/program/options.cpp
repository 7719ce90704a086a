// Parsing by CLI11, whose messages are turned into ours.
#include "options.hpp"

namespace cdc::program {

namespace {

// Like our own messages: one line, without capitals at its start.
std::string plain(std::string message) {
    for (char &c : message) {
        c = c == '\n' ? ' ' : c;
    }
    if (message.size() > 1 && message[0] >= 'A' && message[0] <= 'Z' && (message[1] < 'A' || message[1] > 'Z')) {
        message[0] = static_cast<char>(message[0] - 'A' + 'a');
    }
    return without_passwords(message);
}

// In the order that CLI11 wants: the last one first. It would take what follows `--source=` for its value.
std::vector<std::string> arguments(int argc, const char *const *argv) {
    std::vector<std::string> reversed;
    for (int i = argc - 1; i > 0; --i) {
        const std::string word = argv[i];
        const size_t equals = word.find('=');
        if (word.compare(0, 2, "--") == 0 && equals + 1 == word.size()) {
            reversed.emplace_back();
            reversed.push_back(word.substr(0, equals));
        } else {
            reversed.push_back(word);
        }
    }
    return reversed;
}

}  // namespace

CLI::Option *add(CLI::App &app, const std::string &name, std::function<void(const std::string &)> set) {
    return app.add_option(name, CLI::callback_t([set = std::move(set)](const CLI::results_t &values) {
                              for (const std::string &value : values) {
                                  set(value);
                              }
                              return true;
                          }));
}

void add_text(CLI::App &app, const std::string &name, std::string &target) {
    add(app, name, [&target](const std::string &value) { target = value; });
}

void add_time(CLI::App &app, const std::string &name, std::chrono::milliseconds &target,
              std::chrono::milliseconds least, std::chrono::milliseconds most) {
    add(app, name, [=, &target](const std::string &value) { target = parse_time(name, value, least, most); });
}

void add_log_level(CLI::App &app, std::string &target) {
    add_choice<std::string>(
        app, "--log-level", target,
        {{"trace", "trace"}, {"debug", "debug"}, {"info", "info"}, {"warning", "warning"}, {"error", "error"}});
}

Asked parse(CLI::App &app, int argc, const char *const *argv) {
    try {
        app.parse(arguments(argc, argv));
    } catch (const CLI::CallForHelp &) {
        return Asked::kHelp;
    } catch (const CLI::CallForVersion &) {
        return Asked::kVersion;
    } catch (const CLI::RequiredError &error) {
        const bool no_command = app.get_require_subcommand_min() > 0 && app.get_subcommands().empty();
        if (!no_command) {
            refuse(plain(error.what()));
        }
        std::string names;
        for (const CLI::App *const command : app.get_subcommands([](const CLI::App *) { return true; })) {
            names += (names.empty() ? "" : ", ") + command->get_name();
        }
        refuse("a command is missing", "It may be one of: " + names + "; see --help.");
    } catch (const CLI::ExtrasError &) {
        refuse("'" + plain(app.remaining(true).front()) + "' was not expected");
    } catch (const CLI::ArgumentMismatch &error) {
        // CLI11 says: NAME: and something about numbers
        const std::string text = error.what();
        refuse(text.substr(0, text.find(':')) + " takes one value, once");
    } catch (const CLI::ConfigError &error) {
        // CLI11 says: INI was not able to parse NAME
        const std::string text = error.what();
        refuse("config file: no option is called " + text.substr(text.rfind(' ') + 1));
    } catch (const CLI::ParseError &error) {
        refuse(plain(error.what()));
    }
    return Asked::kWork;
}

}  // namespace cdc::program

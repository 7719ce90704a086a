// Reading the values of options.
#include "option_values.hpp"

#include "../consumer/model/failure.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <memory>
#include <regex>
#include <system_error>

namespace cdc::program {

using consumer::ExitCode;
using consumer::Failure;
using std::chrono::milliseconds;

namespace {

// A whole number and what follows it; false if there is none, or it is too large.
bool split_number(std::string_view text, int64_t &number, std::string_view &unit) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    unit = trim(text.substr(static_cast<size_t>(end - text.data())));
    return error == std::errc() && number >= 0;
}

std::string time_text(milliseconds time) {
    const int64_t ms = time.count();
    return ms >= 3600000 && ms % 3600000 == 0 ? std::to_string(ms / 3600000) + "h"
           : ms >= 60000 && ms % 60000 == 0   ? std::to_string(ms / 60000) + "min"
           : ms >= 1000 && ms % 1000 == 0     ? std::to_string(ms / 1000) + "s"
                                              : std::to_string(ms) + "ms";
}

}  // namespace

void refuse(const std::string &message, const std::string &hint) {
    throw Failure(message, hint, ExitCode::kUsage);
}

std::string_view trim(std::string_view text) {
    const size_t start = text.find_first_not_of(" \t\r\n");
    return start == std::string_view::npos ? std::string_view()
                                           : text.substr(start, text.find_last_not_of(" \t\r\n") - start + 1);
}

int64_t with_unit(std::string_view text, std::initializer_list<Unit> units) {
    int64_t number = 0;
    std::string_view name;
    if (!split_number(trim(text), number, name)) {
        return -1;
    }
    for (const Unit &unit : units) {
        if (unit.name == name) {
            const int64_t most = std::numeric_limits<int64_t>::max() / 2 / unit.size;
            return std::min(number, most) * unit.size;
        }
    }
    return -1;
}

milliseconds parse_time(const std::string &option, const std::string &text, milliseconds least, milliseconds most) {
    const int64_t value = with_unit(text, {{"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}});
    if (value < 0) {
        refuse(option + ": '" + text + "' is not a time", "Give a whole number and its unit: 200ms, 10s, 5min, 1h.");
    }
    if (value < least.count() || value > most.count()) {
        refuse(option + ": " + text + " is out of range",
               "It may be " + time_text(least) + " to " + time_text(most) + ".");
    }
    return milliseconds(value);
}

int64_t parse_count(const std::string &option, const std::string &text, int64_t least, int64_t most) {
    int64_t value = 0;
    std::string_view rest;
    if (!split_number(trim(text), value, rest) || !rest.empty()) {
        refuse(option + ": '" + text + "' is not a whole number");
    }
    if (value < least || value > most) {
        refuse(option + ": " + text + " is out of range",
               "It may be " + std::to_string(least) + " to " + std::to_string(most) + ".");
    }
    return value;
}

void check_conninfo(const std::string &option, const std::string &conninfo) {
    char *error = nullptr;
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(PQconninfoParse(conninfo.c_str(), &error),
                                                                              PQconninfoFree);
    PQfreemem(error);  // not shown: it quotes what may be a piece of a password
    // So does the message that comes of connecting to a host which is the end of one. (One "@" in front is a socket
    // without a file.)
    for (const PQconninfoOption *part = parsed.get(); part != nullptr && part->keyword != nullptr; ++part) {
        const std::string_view name = part->keyword;
        if ((name == "host" || name == "port") && part->val != nullptr &&
            std::string_view(part->val).find('@', 1) != std::string_view::npos) {
            refuse(option + ": the " + std::string(name) + " contains '@'",
                   "In a URI, write the special characters of a password as %40 and so on; or put it into ~/.pgpass.");
        }
    }
    if (parsed == nullptr) {
        refuse(option + " is not a connection string",
               "Give pairs ('host=db dbname=shop user=cdc') or a URI (postgresql://cdc@db/shop); in pairs, values with "
               "spaces go between single quotes.");
    }
}

Address parse_address(const std::string &option, const std::string &text, int least_port) {
    const size_t colon = text.rfind(':');
    std::string host = text.substr(0, colon == std::string::npos ? 0 : colon);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (host.empty() || host.find_first_of(", /") != std::string::npos ||
        (!bracketed && host.find_first_of(":[]") != std::string::npos)) {
        refuse(option + ": '" + text + "' is not ADDRESS:PORT",
               "Examples: 127.0.0.1:9187, or 0.0.0.0:9187 for all interfaces.");
    }
    if (bracketed) {
        host = host.substr(1, host.size() - 2);
    }
    return {host, static_cast<int>(parse_count(option, text.substr(colon + 1), least_port, 65535))};
}

std::string without_passwords(const std::string &text) {
    static const std::regex pair(R"((password\s*=\s*)('(\\.|[^'\\])*'?|\S+))");
    static const std::regex uri(R"((://[^:/@\s]*:)[^@\s]*@)");
    return std::regex_replace(std::regex_replace(text, pair, "$1***"), uri, "$1***@");
}

}  // namespace cdc::program

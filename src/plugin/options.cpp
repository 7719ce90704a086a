// Parsing and checking of the options.
#include "options.hpp"

#include "pattern.hpp"

#include "../wire/schema.hpp"

namespace cdc::plugin {

namespace {

using Kind = OptionError::Kind;

constexpr OptionError kOk{};

OptionError invalid(const char *detail, const char *hint) {
    return OptionError{Kind::kInvalid, detail, hint};
}

// As PostgreSQL reads booleans, in lower case.
OptionError parse_bool(bool &out, std::string_view value) {
    for (const std::string_view word : {"on", "true", "yes", "1"}) {
        if (value == word) {
            out = true;
            return kOk;
        }
    }
    for (const std::string_view word : {"off", "false", "no", "0"}) {
        if (value == word) {
            out = false;
            return kOk;
        }
    }
    return invalid("The value is not a Boolean.", "Use on or off.");
}

// Digits, then nothing, B, kB, MB or GB.
OptionError parse_bytes(int64_t &out, std::string_view value, int64_t low, int64_t high, const char *range) {
    constexpr const char *kHint = "Give a whole number of bytes, or one with the unit B, kB, MB or GB.";
    size_t i = 0;
    int64_t number = 0;
    while (i < value.size() && value[i] >= '0' && value[i] <= '9') {
        number = number * 10 + (value[i] - '0');
        if (number > INT64_MAX / 20) {
            return invalid(range, kHint);
        }
        ++i;
    }
    if (i == 0) {
        return invalid("The value is not a number of bytes.", kHint);
    }
    const std::string_view unit = value.substr(i);
    int shift = 0;
    if (unit == "kB") {
        shift = 10;
    } else if (unit == "MB") {
        shift = 20;
    } else if (unit == "GB") {
        shift = 30;
    } else if (!unit.empty() && unit != "B") {
        return invalid("The value is not a number of bytes.", kHint);
    }
    if (number > (high >> shift) || (number << shift) < low) {
        return invalid(range, kHint);
    }
    out = number << shift;
    return kOk;
}

OptionError parse_patterns(std::string_view &out, std::string_view value, int parts) {
    const char *const problem = check_patterns(value, parts);
    if (problem != nullptr) {
        return invalid(problem, parts == 1 ? "Give a comma-separated list; * stands for any characters, \\ escapes."
                                           : "Give a comma-separated list of schema.table; * stands for any "
                                             "characters, \\ escapes.");
    }
    out = value;
    return kOk;
}

OptionError parse_actions(uint8_t &out, std::string_view value) {
    constexpr const char *kHint = "Give a comma-separated list of insert, update, delete and truncate.";
    static constexpr std::string_view kWords[] = {"insert", "update", "delete", "truncate"};
    uint8_t actions = 0;
    for (;;) {
        const size_t comma = value.find(',');
        std::string_view word = value.substr(0, comma);
        while (!word.empty() && word.front() == ' ') {
            word.remove_prefix(1);
        }
        while (!word.empty() && word.back() == ' ') {
            word.remove_suffix(1);
        }
        uint8_t action = 0;
        for (unsigned i = 0; i < 4; ++i) {
            if (word == kWords[i]) {
                action = static_cast<uint8_t>(1U << i);
            }
        }
        if (action == 0) {
            return invalid(word.empty() ? "An action in the list is empty." : "An action in the list is unknown.",
                           kHint);
        }
        if ((actions & action) != 0) {
            return invalid("An action is named twice.", kHint);
        }
        actions = static_cast<uint8_t>(actions | action);
        if (comma == std::string_view::npos) {
            break;
        }
        value.remove_prefix(comma + 1);
    }
    out = actions;
    return kOk;
}

OptionError parse_format(Format &out, std::string_view value) {
    if (value == "protobuf") {
        out = Format::kProtobuf;
    } else if (value == "json") {
        out = Format::kJson;
    } else {
        return invalid("The format is unknown.", "Use protobuf or json.");
    }
    return kOk;
}

OptionError parse_framing(Framing &out, std::string_view value) {
    if (value == "none") {
        out = Framing::kNone;
    } else if (value == "delimited") {
        out = Framing::kDelimited;
    } else {
        return invalid("The framing is unknown.", "Use none or delimited.");
    }
    return kOk;
}

OptionError parse_origin(bool &any, std::string_view value) {
    if (value == "any") {
        any = true;
    } else if (value == "none") {
        any = false;
    } else {
        return invalid("The origin is unknown.",
                       "Use any, or none for only what was not replicated to this server from another.");
    }
    return kOk;
}

// Options by name, each with the function that sets it.
struct Known {
    std::string_view name;
    OptionError (*parse)(Options &options, std::string_view value);
};

constexpr Known kKnown[] = {
    {"format", [](Options &o, std::string_view v) { return parse_format(o.format, v); }},
    {"framing", [](Options &o, std::string_view v) { return parse_framing(o.framing, v); }},
    {"batch_bytes",
     [](Options &o, std::string_view v) {
         return parse_bytes(o.batch_bytes, v, kMinBatchBytes, kMaxBatchBytes,
                            "The value is outside of the range from 1 byte to 64MB.");
     }},
    {"tables", [](Options &o, std::string_view v) { return parse_patterns(o.tables, v, 2); }},
    {"exclude_tables", [](Options &o, std::string_view v) { return parse_patterns(o.exclude_tables, v, 2); }},
    {"actions", [](Options &o, std::string_view v) { return parse_actions(o.actions, v); }},
    {"messages", [](Options &o, std::string_view v) { return parse_bool(o.messages, v); }},
    {"message_prefixes", [](Options &o, std::string_view v) { return parse_patterns(o.message_prefixes, v, 1); }},
    {"origin", [](Options &o, std::string_view v) { return parse_origin(o.any_origin, v); }},
    {"skip_empty_xacts", [](Options &o, std::string_view v) { return parse_bool(o.skip_empty_xacts, v); }},
    {"changed_columns", [](Options &o, std::string_view v) { return parse_bool(o.changed_columns, v); }},
    {"max_value_bytes",
     [](Options &o, std::string_view v) {
         return parse_bytes(o.max_value_bytes, v, 0, kMaxValueBytes,
                            "The value is outside of the range from 0 (no limit) to 1GB.");
     }},
};

constexpr const char *kKnownHint =
    "Options are format, framing, batch_bytes, tables, exclude_tables, actions, messages, message_prefixes, origin, "
    "skip_empty_xacts, changed_columns and max_value_bytes.";

}  // namespace

OptionError set_option(Options &options, std::string_view name, std::string_view value, bool has_value) {
    for (unsigned i = 0; i < sizeof kKnown / sizeof kKnown[0]; ++i) {
        if (kKnown[i].name != name) {
            continue;
        }
        if ((options.given >> i & 1) != 0) {
            return OptionError{Kind::kRepeated, "The option was given more than once.", "Give each option once."};
        }
        if (!has_value) {
            return invalid("The option was given without a value.", "Give it as name=value.");
        }
        options.given |= 1U << i;
        return kKnown[i].parse(options, value);
    }
    return OptionError{Kind::kUnknown, "The output plugin has no such option.", kKnownHint};
}

OptionError check_options(const Options &options) {
    if (options.framing == Framing::kDelimited && options.format == Format::kJson) {
        return OptionError{Kind::kConflict, "JSON records are lines of text, which need no framing.",
                           "Leave framing out, or use format=protobuf."};
    }
    return kOk;
}

bool matches_table(std::string_view patterns, std::string_view schema, std::string_view table) {
    const std::string_view name[] = {schema, table};
    return match_patterns(patterns, name, 2);
}

bool matches_prefix(std::string_view patterns, std::string_view prefix) {
    return match_patterns(patterns, &prefix, 1);
}

bool selects_table(const Options &options, const TableName *names, size_t count) {
    bool selected = options.tables.empty();
    for (size_t i = 0; i < count; ++i) {
        selected = selected || matches_table(options.tables, names[i].schema, names[i].table);
        if (!options.exclude_tables.empty() && matches_table(options.exclude_tables, names[i].schema, names[i].table)) {
            return false;
        }
    }
    return selected;
}

bool selects_message(const Options &options, std::string_view prefix) {
    return prefix == wire::kHeartbeatPrefix ||
           (options.messages && (options.message_prefixes.empty() || matches_prefix(options.message_prefixes, prefix)));
}

}  // namespace cdc::plugin

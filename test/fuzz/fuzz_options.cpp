// Options as a user might give them, one name=value on each line. What is accepted must be in range and must match
// without trouble; what is refused must come with a detail and a hint. The last two lines are names to match.
#include "check.hpp"

#include "plugin/options.hpp"
#include "plugin/pattern.hpp"

#include <string>
#include <vector>

namespace {

using namespace cdc;
using fuzz::check;
using plugin::OptionError;

void check_error(const OptionError &error) {
    if (error) {
        for (const char *const text : {error.detail, error.hint}) {
            check(text != nullptr && text[0] != '\0', "error without a detail or a hint");
        }
    }
}

// Whether a pattern without separators matches, by a table of all prefixes.
bool oracle(std::string_view pattern, std::string_view name) {
    std::vector<bool> reachable(name.size() + 1);  // prefixes of the name that the pattern so far matches
    reachable[0] = true;
    for (size_t p = 0; p < pattern.size(); ++p) {
        if (pattern[p] == '*') {
            for (size_t n = 1; n <= name.size(); ++n) {
                reachable[n] = reachable[n] || reachable[n - 1];
            }
            continue;
        }
        p += pattern[p] == '\\' ? 1 : 0;
        for (size_t n = name.size(); n > 0; --n) {
            reachable[n] = reachable[n - 1] && name[n - 1] == pattern[p];
        }
        reachable[0] = false;
    }
    return reachable[name.size()];
}

std::string escaped(std::string_view name) {
    std::string pattern;
    for (const char c : name) {
        pattern += '\\';
        pattern += c;
    }
    return pattern;
}

void check_escaped(std::string_view schema, std::string_view table) {
    if (schema.empty() || table.empty()) {
        return;
    }
    const std::string pattern = escaped(schema) + "." + escaped(table);
    check(plugin::check_patterns(pattern, 2) == nullptr, "escaped name is refused", pattern);
    check(plugin::matches_table(pattern, schema, table), "escaped name does not match itself", pattern);
    check(plugin::matches_table(pattern, table, schema) == (schema == table), "escaped name matches another", pattern);
    check(plugin::matches_table("x.y," + pattern, schema, table), "second pattern does not match", pattern);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view input(reinterpret_cast<const char *>(data), size);
    std::vector<std::string_view> lines;
    for (size_t start = 0; start <= input.size();) {
        const size_t end = std::min(input.find('\n', start), input.size());
        lines.push_back(input.substr(start, end - start));
        start = end + 1;
    }
    const std::string_view table = lines.back();
    const std::string_view schema = lines.size() > 1 ? lines[lines.size() - 2] : table;

    plugin::Options options;
    for (const std::string_view line : lines) {
        const size_t equals = line.find('=');
        const bool has_value = equals != std::string_view::npos;
        const std::string_view value = has_value ? line.substr(equals + 1) : std::string_view();
        const OptionError error = plugin::set_option(options, line.substr(0, equals), value, has_value);
        check_error(error);
        // One pattern, without separators or white space, against the simplest way of matching.
        if (plugin::check_patterns(line, 1) == nullptr && line.find_first_of(", \t\r") == std::string_view::npos) {
            check(plugin::matches_prefix(line, table) == oracle(line, table), "matches otherwise", line);
        }
    }
    check_error(plugin::check_options(options));
    check(options.batch_bytes >= plugin::kMinBatchBytes && options.batch_bytes <= plugin::kMaxBatchBytes,
          "batch_bytes out of range");
    check(options.max_value_bytes >= 0 && options.max_value_bytes <= plugin::kMaxValueBytes,
          "max_value_bytes out of range");
    check(options.actions > 0 && options.actions <= plugin::kAllActions, "actions out of range");
    const plugin::TableName names[] = {{"s", "t"}, {schema, table}};
    const bool excluded =
        !options.exclude_tables.empty() && plugin::matches_table(options.exclude_tables, schema, table);
    check(!excluded || !plugin::selects_table(options, names, 2), "excluded table is selected");
    check(plugin::selects_table(options, names, 2) == plugin::selects_table(options, names, 1) || excluded ||
              plugin::selects_table(options, names + 1, 1),
          "a name that is not selected selects");
    plugin::selects_message(options, table);
    check_escaped(schema, table);
    return 0;
}

// The options, what they may be, and the help.
#include "command_line.hpp"

#include "../program/options.hpp"
#include "../program/version.hpp"

#include <chrono>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace cdc::consumer {

namespace {

using namespace program;
using namespace std::chrono_literals;

// In lines of at most 100 columns.
const char kHelp[] =
    R"(cdc_consumer keeps a copy of PostgreSQL tables: it copies them as they are, then applies every
committed transaction in its order, from a replication slot of the output plugin cdc_plugin. Kill it
at any moment: the next run goes on where the copy ends, and nothing is missed or applied twice.

Usage: cdc_consumer COMMAND [OPTIONS]

Commands:
  run           copies the tables if the sink is empty, then follows their changes until stopped
  status        shows slot, sink, and how far the one is behind the other; changes nothing
  resnapshot    drops the slot, makes a new one, and copies all tables anew; those who read the sink
                see the old rows until the new ones are complete
  drop-slot     drops the slot, so that the source keeps no WAL for it; the copy stays as it is
  replay FILE   applies a file that pg_recvlogical -o framing=delimited wrote (-: standard input)

Examples:
  cdc_consumer run --source 'host=db dbname=shop user=cdc' --slot shop_copy \
      --tables 'public.orders,public.order_*' --sink sqlite:shop.db
  cdc_consumer run --config shop.conf --metrics 127.0.0.1:9187
  cdc_consumer run --config shop.conf --sink jsonl:- --until-caught-up | jq .
  cdc_consumer status --config shop.conf

Where from, where to:
  --source CONNINFO        source database: key=value pairs or a URI, as psql takes them; '' for the
                           PG* environment variables. Passwords belong into ~/.pgpass
  --slot NAME              replication slot; run makes it if it is not there
  --tables PATTERNS        tables to copy: schema.table, * for any characters, separated by commas;
                           may be given several times (default: *.*)
  --exclude-tables PATTERNS
                           tables to leave out of these
  --sink SINK              sqlite:FILE, postgres:CONNINFO, jsonl:FILE, or jsonl:- (standard output)
  --init-sql FILE          SQL for the sink, run once the tables are there: indexes, views

What may happen:
  --on-lost-slot ACTION    the slot cannot go on from the sink's position: fail (default) with exit
                           code 3, or resnapshot
  --on-rewrite ACTION      a table was changed as only a new copy can follow: fail (default) with
                           exit code 4, or resnapshot
  --until-caught-up        end when everything is applied that was committed before the start
  --max-retry-delay TIME   longest pause between attempts to reconnect (default: 30s)
  --stop-timeout TIME      on SIGTERM and SIGINT: how long an open transaction may take to its end
                           (default: 10s)

Speed and memory:
  --snapshot-jobs N        connections that copy tables at the same time (default: 2)
  --snapshot-chunk SIZE    parts that large tables are copied in (default: 128MB); after an
                           interruption, parts that were complete are not copied again
  --group-changes N        a transaction of the sink ends with so many changes (default: 10000),
  --group-time TIME        or when it is so old; sooner if nothing waits (default: 200ms)
  --sync-interval TIME     how often what was applied is made durable and confirmed (default: 1s)
  --idle-interval TIME     how often the position of an idle source is stored (default: 10s)
  --status-interval TIME   how often the source hears from us at least (default: 10s)
  --queue-size SIZE        most that is received and not yet applied (default: 64MB)

Watching:
  --metrics ADDRESS:PORT   serve http://ADDRESS:PORT/metrics for Prometheus
  --progress MODE          line (one that changes), log, none, auto (default: line on a terminal)
  --log-level LEVEL        trace, debug, info (default), warning, error; the log is standard error
  --json                   status as JSON

  --config FILE            lines of OPTION = VALUE, named as here without --; the command line wins
  --version                print the version
  -h, --help               print this

TIME is a number with a unit: ms, s, min, h. SIZE is bytes, or a number with B, kB, MB, GB.

Exit codes:
  0  done, caught up, or stopped by SIGTERM or SIGINT
  1  something outside failed: a connection, the sink, a file
  2  the command line or the config file is wrong
  3  the slot is lost, or does not fit the sink (see --on-lost-slot)
  4  a change of a table cannot be followed (see --on-rewrite)
)";

constexpr int64_t kMinSize = int64_t{64} << 10;
constexpr int64_t kMaxSize = int64_t{16} << 30;
constexpr int64_t kBlock = 8192;

int64_t parse_size(const std::string &option, const std::string &text) {
    const int64_t value =
        with_unit(text, {{"", 1}, {"B", 1}, {"kB", 1 << 10}, {"MB", 1 << 20}, {"GB", int64_t{1} << 30}});
    if (value < 0) {
        refuse(option + ": '" + text + "' is not a size", "Give whole bytes, or a number with B, kB, MB or GB.");
    }
    if (value < kMinSize || value > kMaxSize) {
        refuse(option + ": " + text + " is out of range", "It may be 64kB to 16GB.");
    }
    return value;
}

void check_slot(const std::string &slot) {
    if (slot.empty() || slot.size() > 63 ||
        slot.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos) {
        refuse("--slot: '" + slot + "' cannot be the name of a slot",
               "It may have 1 to 63 lower-case letters, digits and underscores.");
    }
}

void check_sink(const std::string &sink) {
    const size_t colon = sink.find(':');
    const std::string scheme = sink.substr(0, colon);
    const std::string target = colon == std::string::npos ? "" : sink.substr(colon + 1);
    if (colon == std::string::npos || (scheme != "sqlite" && scheme != "postgres" && scheme != "jsonl")) {
        refuse(
            "--sink: '" + without_passwords(sink) + "' names no kind of sink",
            "It may be sqlite:FILE, postgres:CONNINFO (postgres:postgresql://... for a URI), jsonl:FILE or jsonl:-.");
    }
    if (scheme == "postgres") {
        if (target.compare(0, 2, "//") == 0) {
            refuse("--sink: postgres: comes before a whole URI", "Write postgres:postgresql://user@host/database.");
        }
        check_conninfo("--sink", target);
    } else if (target.empty()) {
        refuse("--sink: " + scheme + ": needs the name of a file");
    } else if (target == ":memory:") {
        refuse("--sink: a copy in memory would be lost with its position", "Give the name of a file.");
    }
}

// --- patterns
// ---------------------------------------------------------------------------------------------------------

// White space round a pattern does not count, unless a backslash stands before it.
std::string_view trim_pattern(std::string_view pattern) {
    std::string_view trimmed = trim(pattern);
    size_t backslashes = 0;
    while (backslashes < trimmed.size() && trimmed[trimmed.size() - 1 - backslashes] == '\\') {
        ++backslashes;
    }
    const auto end = static_cast<size_t>(trimmed.data() + trimmed.size() - pattern.data());
    if (backslashes % 2 == 1 && !trimmed.empty() && end < pattern.size()) {
        trimmed = std::string_view(trimmed.data(), trimmed.size() + 1);
    }
    return trimmed;
}

void add_pattern(const std::string &option, std::string_view pattern, std::string &list) {
    pattern = trim_pattern(pattern);
    size_t dots = 0;
    size_t part = 0;  // length of the part that the loop is in
    bool ok = true;
    for (size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '.') {
            ++dots;
            ok = ok && part > 0;
            part = 0;
            continue;
        }
        if (pattern[i] == '\\') {
            ok = ok && ++i < pattern.size();
        }
        ++part;
    }
    if (!ok || dots != 1 || part == 0) {
        refuse(
            option + ": '" + std::string(pattern) + "' is not a pattern",
            "Write schema.table, where * stands for any characters; a backslash takes the next character literally.");
    }
    if (!list.empty()) {
        list += ',';
    }
    list += pattern;
}

// Appends to a list with one comma between two patterns.
void add_patterns(const std::string &option, const std::string &text, std::string &list) {
    size_t start = 0;
    for (size_t i = 0; i <= text.size(); ++i) {
        if (i == text.size() || text[i] == ',') {
            add_pattern(option, std::string_view(text).substr(start, i - start), list);
            start = i + 1;
        } else if (text[i] == '\\') {
            ++i;
            if (i == text.size()) {
                refuse(option + ": a backslash at the end of '" + text + "'");
            }
        }
    }
}

// --- config file
// ------------------------------------------------------------------------------------------------------

// Lines of OPTION = VALUE. CLI11's own reader cuts quoted values at # and unquoted ones at spaces, which connection
// strings do not survive.
class ConfigFile : public CLI::Config {
 public:
    std::string to_config(const CLI::App *, bool, bool, std::string) const override { return {}; }

    std::vector<CLI::ConfigItem> from_config(std::istream &input) const override {
        std::vector<CLI::ConfigItem> found;
        std::set<std::string> names;
        std::string line;
        for (int number = 1; std::getline(input, line); ++number) {
            const std::string_view text = trim(line);
            if (text.empty() || text.front() == '#' || text.front() == ';') {
                continue;
            }
            const std::string where = "line " + std::to_string(number) + " of the config file";
            const size_t equals = text.find('=');
            const std::string name(trim(text.substr(0, equals)));
            if (equals == std::string_view::npos || name.empty() || text.front() == '[') {
                refuse(where + " is not OPTION = VALUE", "Name options as on the command line, without --.");
            }
            if (!names.insert(name).second) {
                refuse(where + ": " + name + " was set before");
            }
            CLI::ConfigItem item;
            item.name = name;
            item.inputs = {value(trim(text.substr(equals + 1)), where)};
            found.push_back(std::move(item));
        }
        return found;
    }

 private:
    // "..." with \" and \\, '...' as it is, or what stands up to a # behind a space.
    static std::string value(std::string_view text, const std::string &where) {
        const char quote = text.empty() ? '\0' : text.front();
        if (quote != '"' && quote != '\'') {
            for (size_t i = 0; i < text.size(); ++i) {
                if (text[i] == '#' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t')) {
                    return std::string(trim(text.substr(0, i)));
                }
            }
            return std::string(text);
        }
        std::string out;
        for (size_t i = 1; i < text.size(); ++i) {
            if (text[i] == quote) {
                const std::string_view rest = trim(text.substr(i + 1));
                if (!rest.empty() && rest.front() != '#') {
                    refuse(where + " has something behind the closing quote");
                }
                return out;
            }
            if (quote == '"' && text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\')) {
                ++i;
            }
            out += text[i];
        }
        refuse(where + " lacks a closing quote");
    }
};

// --- the options
// ------------------------------------------------------------------------------------------------------

void add_list(CLI::App &app, const std::string &name, std::string &target) {
    add(app, name, [name, &target](const std::string &value) { add_patterns(name, value, target); })
        ->expected(1, CLI::detail::expected_max_vector_size)
        ->allow_extra_args(false);
}

void add_options(CLI::App &app, CommandLine &line) {
    Settings &settings = line.settings;
    add_text(app, "--source", settings.source);
    add_text(app, "--slot", settings.slot);
    add_list(app, "--tables", settings.tables);
    add_list(app, "--exclude-tables", settings.exclude_tables);
    add_text(app, "--sink", settings.sink);
    add_text(app, "--init-sql", settings.init_sql_file);
    add_choice<OnLostSlot>(app, "--on-lost-slot", settings.on_lost_slot,
                           {{"fail", OnLostSlot::kFail}, {"resnapshot", OnLostSlot::kResnapshot}});
    add_choice<OnRewrite>(app, "--on-rewrite", settings.on_rewrite,
                          {{"fail", OnRewrite::kFail}, {"resnapshot", OnRewrite::kResnapshot}});
    app.add_flag("--until-caught-up", settings.until_caught_up);
    add_count(app, "--snapshot-jobs", settings.snapshot_jobs, 1, 64);
    add_count(app, "--group-changes", settings.group_changes, 1, 10000000);
    add_time(app, "--group-time", settings.group_time, 1ms, 1min);
    add_time(app, "--sync-interval", settings.sync_interval, 1ms, 10min);
    add_time(app, "--idle-interval", settings.idle_interval, 100ms, 1h);
    add_time(app, "--status-interval", settings.status_interval, 100ms, 1h);
    add_time(app, "--max-retry-delay", settings.max_retry_delay, 100ms, 1h);
    add_time(app, "--stop-timeout", settings.stop_timeout, 0ms, 1h);
    add(app, "--snapshot-chunk", [&settings](const std::string &value) {
        settings.snapshot_chunk_blocks = parse_size("--snapshot-chunk", value) / kBlock;
    });
    add(app, "--queue-size", [&settings](const std::string &value) {
        settings.queue_bytes = static_cast<size_t>(parse_size("--queue-size", value));
    });
    add_text(app, "--metrics", settings.metrics_address);
    add_choice<ProgressMode>(app, "--progress", line.progress,
                             {{"auto", ProgressMode::kAuto},
                              {"line", ProgressMode::kLine},
                              {"log", ProgressMode::kLog},
                              {"none", ProgressMode::kNone}});
    add_log_level(app, line.log_level);
    app.add_flag("--json", line.json);
}

void add_commands(CLI::App &app, CommandLine &line) {
    const auto command = [&](const char *name, Command value) {
        CLI::App *const added = app.add_subcommand(name);
        added->set_help_flag();  // the one help is the program's
        added->fallthrough();
        added->final_callback([&line, value] { line.command = value; });
        return added;
    };
    command("run", Command::kRun);
    command("status", Command::kStatus);
    command("resnapshot", Command::kResnapshot);
    command("drop-slot", Command::kDropSlot);
    command("replay", Command::kReplay)
        ->add_option("FILE", CLI::callback_t([&line](const CLI::results_t &values) {
                         line.file = values.front();
                         return true;
                     }))
        ->required();
    app.require_subcommand(1);
}

// What the options must be together.
void check(const CommandLine &line, bool has_source) {
    const Settings &settings = line.settings;
    const bool copies = line.command == Command::kRun || line.command == Command::kResnapshot;
    if (line.command != Command::kReplay) {
        if (!has_source) {
            refuse("--source is missing", "Give the source's connection string, or '' for the PG* environment.");
        }
        check_conninfo("--source", settings.source);
        if (settings.slot.empty()) {
            refuse("--slot is missing");
        }
    }
    if (!settings.slot.empty()) {
        check_slot(settings.slot);
    }
    if (settings.sink.empty()) {
        if (copies || line.command == Command::kReplay) {
            refuse("--sink is missing");
        }
    } else {
        check_sink(settings.sink);
    }
    if (copies && settings.sink == "postgres:" + settings.source) {
        refuse("--sink is the source itself");
    }
    if (!settings.init_sql_file.empty() && settings.sink.compare(0, 6, "jsonl:") == 0) {
        refuse("--init-sql is for sinks with tables, which jsonl is not");
    }
    if (!settings.metrics_address.empty()) {
        parse_address("--metrics", settings.metrics_address, 1);
    }
    if (line.json && line.command != Command::kStatus) {
        refuse("--json is for status");
    }
    if (settings.until_caught_up && (line.command == Command::kResnapshot || line.command == Command::kReplay)) {
        refuse("--until-caught-up is for run");
    }
}

}  // namespace

CommandLine parse_command_line(int argc, const char *const *argv) {
    CommandLine line;
    line.settings.tables.clear();
    CLI::App app;
    app.set_help_flag("-h,--help");
    app.set_version_flag("--version", std::string("cdc_consumer ") + kVersion);
    app.set_config("--config");
    app.config_formatter(std::make_shared<ConfigFile>());
    app.allow_config_extras(CLI::config_extras_mode::error);
    add_options(app, line);
    add_commands(app, line);
    const Asked asked = program::parse(app, argc, argv);
    if (asked != Asked::kWork) {
        line.command = Command::kPrint;
        line.text = asked == Asked::kHelp ? kHelp : std::string("cdc_consumer ") + kVersion + '\n';
        return line;
    }
    if (line.settings.tables.empty()) {
        line.settings.tables = "*.*";
    }
    check(line, app.count("--source") > 0);
    return line;
}

}  // namespace cdc::consumer

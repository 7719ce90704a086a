// The options, what they may be, and the help.
#include "command_line.hpp"

#include "../program/options.hpp"
#include "../program/version.hpp"

#include <arpa/inet.h>

namespace cdc::panel {

namespace {

using namespace program;
using namespace std::chrono_literals;

// In lines of at most 100 columns.
const char kHelp[] =
    R"(cdc_panel shows a server's replication slots as a web page and as metrics for Prometheus: how near
each is to trouble, why, and what to do. It reads the views of the extension cdc_plugin and changes
nothing. It goes on, with what it saw last, while the server is away.

Usage: cdc_panel --source CONNINFO [OPTIONS]

Examples:
  cdc_panel --source 'host=/var/run/postgresql dbname=postgres user=cdc_panel'
  cdc_panel --source 'host=db dbname=postgres user=cdc_panel' --listen 127.0.0.1:9188 --history 6h

Options:
  --source CONNINFO        a database with the extension: key=value pairs or a URI, as psql takes them;
                           '' for the PG* environment variables. Passwords belong into ~/.pgpass
  --listen ADDRESS:PORT    where to serve (default: 127.0.0.1:8080); with port 0, a free one, which is
                           logged. IPv6 addresses go between brackets: [::1]:8080
  --allow-remote           allow a --listen address that other machines can reach. There is neither
                           password nor encryption: better leave that to a proxy on this machine
  --interval TIME          between two looks at the server: 100ms to 10min (default: 5s)
  --history TIME           what the curves show: 1min to 7 days, in hours 168h (default: 30min)
  --log-level LEVEL        trace, debug, info (default), warning, error; the log is standard error
  --version                print the version
  -h, --help               print this

TIME is a number with a unit: ms, s, min, h.

The role needs LOGIN and the privileges of pg_monitor, nothing else:
  CREATE ROLE cdc_panel LOGIN IN ROLE pg_monitor;

What is served:
  /                        the page
  /metrics                 for Prometheus
  /api/slots               what the page shows, as JSON
  /api/runbook?slot=NAME   the steps to take for a slot, as JSON
  /healthz                 "ok" as long as the panel itself works

Exit codes:
  0  stopped by SIGTERM or SIGINT
  1  something outside failed: the address is in use, the server refuses the role
  2  the command line is wrong
)";

}  // namespace

bool is_loopback(const std::string &host) {
    in_addr address{};
    return host == "localhost" || host == "::1" ||
           (inet_pton(AF_INET, host.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

CommandLine parse_command_line(int argc, const char *const *argv) {
    CommandLine line;
    Settings &settings = line.settings;
    CLI::App app;
    app.set_help_flag("-h,--help");
    app.set_version_flag("--version", std::string("cdc_panel ") + kVersion);
    add_text(app, "--source", settings.source);
    add(app, "--listen",
        [&settings](const std::string &value) { settings.listen = parse_address("--listen", value, 0); });
    app.add_flag("--allow-remote", settings.allow_remote);
    add_time(app, "--interval", settings.interval, 100ms, 10min);
    add_time(app, "--history", settings.history, 1min, 168h);
    add_log_level(app, line.log_level);
    const Asked asked = program::parse(app, argc, argv);
    if (asked != Asked::kWork) {
        line.text = asked == Asked::kHelp ? kHelp : std::string("cdc_panel ") + kVersion + '\n';
        return line;
    }
    if (app.count("--source") == 0) {
        refuse("--source is missing", "Give a connection string, or '' for the PG* environment; see --help.");
    }
    check_conninfo("--source", settings.source);
    if (!is_loopback(settings.listen.host) && !settings.allow_remote) {
        refuse("--listen: other machines can reach " + settings.listen.host + ", and the panel asks for no password",
               "Listen on 127.0.0.1 with a proxy in front that does, or say --allow-remote.");
    }
    return line;
}

}  // namespace cdc::panel

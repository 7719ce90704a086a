// Which sink a --sink means.
#include "sink.hpp"

namespace cdc::consumer {

std::unique_ptr<Sink> open_sink(const std::string &target, const SinkOptions &options) {
    const size_t colon = target.find(':');
    const std::string scheme = target.substr(0, colon);
    const std::string rest = colon == std::string::npos ? std::string() : target.substr(colon + 1);
    if (!rest.empty() && scheme == "sqlite") {
        return open_sqlite_sink(rest, options);
    }
    if (!rest.empty() && scheme == "jsonl") {
        return open_jsonl_sink(rest, options);
    }
    if (scheme == "postgres") {
        return open_postgres_sink(rest, options);
    }
    // postgresql://... is a conninfo as it stands.
    if (scheme == "postgresql") {
        return open_postgres_sink(target, options);
    }
    throw Failure("unknown sink \"" + target + '"', "A sink is sqlite:FILE, postgres:CONNINFO or jsonl:FILE.",
                  ExitCode::kUsage);
}

}  // namespace cdc::consumer

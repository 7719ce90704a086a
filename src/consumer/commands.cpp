// The commands of the program.
#include "commands.hpp"

#include "metrics.hpp"
#include "progress.hpp"
#include "status.hpp"

#include "../program/option_values.hpp"
#include "../program/start.hpp"

#include "pipeline/counters.hpp"
#include "pipeline/run.hpp"

#include <spdlog/spdlog.h>

#include <unistd.h>

#include <charconv>
#include <memory>
#include <optional>

namespace cdc::consumer {

namespace {

using program::print;

// Runs `work` with the counters that it keeps shown.
template <typename Work>
void watched(const CommandLine &line, const Work &work) {
    Counters counters;
    std::optional<Metrics> metrics;
    if (!line.settings.metrics_address.empty()) {
        metrics.emplace(line.settings.metrics_address, counters);
        spdlog::info("metrics at http://{}/metrics", line.settings.metrics_address);
    }
    const Progress progress(counters, line.progress);
    work(counters);
}

void run_replay(const CommandLine &line, const std::atomic<bool> &stop) {
    ReplayResult result;
    watched(line, [&](Counters &counters) { result = replay(line.settings, line.file, counters, stop); });
    // What is printed must not go between the rows of jsonl:-.
    const std::string text = std::to_string(result.transactions) + " transactions applied (" +
                             std::to_string(result.changes) + " changes), " + std::to_string(result.skipped) +
                             " already in the sink";
    if (line.settings.sink == "jsonl:-") {
        spdlog::info(text);
    } else {
        print(text + '\n');
    }
}

// --- sink ---------------------------------------------------------------------------------------------------------

// Whether opening the sink would only make an empty one.
bool sink_exists(const std::string &target) {
    const size_t colon = target.find(':');
    if (target.compare(0, colon, "postgres") == 0) {
        return true;
    }
    const std::string file = target.substr(colon + 1);
    return file != "-" && access(file.c_str(), F_OK) == 0;
}

// What the sink knows of the slot, and its name for people.
std::optional<SinkState> sink_state(const Settings &settings, std::string &name) {
    if (!sink_exists(settings.sink)) {
        name = settings.sink + " (not there yet)";
        return std::nullopt;
    }
    SinkOptions options;
    options.slot = settings.slot;
    const std::unique_ptr<Sink> sink = open_sink(settings.sink, options);
    name = sink->name();
    for (SinkState &state : sink->states()) {
        if (state.slot == settings.slot) {
            return std::move(state);
        }
    }
    return std::nullopt;
}

// --- status ---------------------------------------------------------------------------------------------------------

// What the guard says about the slot; nullopt where it has nothing to say.
std::optional<GuardView> guard_view(Connection &connection, const std::string &slot) {
    try {
        // The view raises a NOTICE where the guard does not watch.
        connection.query("SET client_min_messages = warning");
        if (connection.query("SELECT to_regclass('cdc.slots')").is_null(0, 0)) {
            return std::nullopt;
        }
        const Result result = connection.query(
            "SELECT level, cause, coalesce(advice, ''), headroom_bytes FROM cdc.slots WHERE slot_name = $1", {slot});
        if (result.rows() == 0) {
            return std::nullopt;
        }
        GuardView view;
        view.level = result.text(0, 0);
        view.cause = result.text(0, 1);
        view.advice = result.text(0, 2);
        if (const std::optional<std::string> headroom = result.optional(0, 3)) {
            int64_t bytes = 0;
            std::from_chars(headroom->data(), headroom->data() + headroom->size(), bytes);
            view.headroom_bytes = bytes;
        }
        return view;
    } catch (const ServerError &error) {  // most likely the privileges of pg_monitor are missing
        GuardView view;
        view.unknown = error.what();
        return view;
    }
}

ExitCode show_status(const CommandLine &line) {
    const Settings &settings = line.settings;
    Status status;
    status.slot_name = settings.slot;
    status.sink_given = !settings.sink.empty();
    Source source(settings.source);
    status.database = source.database();
    status.system_identifier = source.system_identifier();
    // In this order, because a consumer that runs meanwhile must not make the slot look ahead of the sink, or the sink
    // ahead of the source.
    status.slot = source.slot(settings.slot);
    if (status.sink_given) {
        try {
            status.state = sink_state(settings, status.sink_name);
        } catch (const std::exception &error) {
            status.sink_name = program::without_passwords(settings.sink);
            status.sink_unknown = error.what();
        }
    }
    status.source_end = source.current_lsn();
    status.guard = guard_view(source.connection(), settings.slot);
    print(line.json ? status.json() : status.table());
    return status.verdict().code;
}

// --- drop-slot ------------------------------------------------------------------------------------------------------

void drop_slot(const Settings &settings) {
    Source source(settings.source);
    const std::optional<SlotInfo> slot = source.slot(settings.slot);
    if (slot && slot->plugin != "cdc_plugin") {
        throw Failure("slot " + settings.slot + " is not one of cdc_plugin, and was not dropped",
                      "To drop it all the same: SELECT pg_drop_replication_slot('" + settings.slot + "');");
    }
    if (slot) {
        source.drop_slot(settings.slot);
        print("slot " + settings.slot + " was dropped (it had confirmed " + lsn_text(slot->confirmed_flush_lsn) +
              ")\n");
    } else {
        print("slot " + settings.slot + " does not exist: nothing to drop\n");
    }
    if (!settings.sink.empty()) {
        std::string name;
        const std::optional<SinkState> state = sink_state(settings, name);
        print(state ? name + " still has its copy, as of " + lsn_text(state->position) +
                          "; only resnapshot can bring it up to date again\n"
                    : name + " has nothing of this slot\n");
    }
}

}  // namespace

ExitCode execute(const CommandLine &line, const std::atomic<bool> &stop) {
    switch (line.command) {
        case Command::kPrint:
            print(line.text);
            break;
        case Command::kRun:
            watched(line, [&](Counters &counters) { run(line.settings, counters, stop); });
            break;
        case Command::kResnapshot:
            watched(line, [&](Counters &counters) { resnapshot(line.settings, counters, stop); });
            break;
        case Command::kReplay:
            run_replay(line, stop);
            break;
        case Command::kStatus:
            return show_status(line);
        case Command::kDropSlot:
            drop_slot(line.settings);
            break;
    }
    return ExitCode::kDone;
}

}  // namespace cdc::consumer

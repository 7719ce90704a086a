// The verdict about a slot and its sink, as a table and as JSON.
#include "status.hpp"

#include "progress.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <string_view>
#include <utility>

namespace cdc::consumer {

namespace {

constexpr size_t kLabelWidth = 21;
constexpr size_t kTextWidth = 100 - kLabelWidth;

uint64_t distance(Lsn from, Lsn to) {
    return to > from ? to - from : 0;
}

const char *phase_text(const SinkState &state) {
    return state.phase == Phase::kStreaming ? "streaming" : "snapshot";
}

// One row, its text broken at spaces.
void add_row(std::string &out, const std::string &label, std::string_view text) {
    std::string left = label;
    do {
        size_t length = text.size();
        if (length > kTextWidth) {
            const size_t space = text.rfind(' ', kTextWidth);
            length = space == std::string_view::npos || space == 0 ? kTextWidth : space;
        }
        left.resize(kLabelWidth, ' ');
        out += left;
        out += text.substr(0, length);
        out += '\n';
        left.clear();
        text.remove_prefix(length);
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    } while (!text.empty());
}

}  // namespace

Status::Verdict Status::verdict() const {
    const auto lost = [](std::string reason) { return Verdict{ExitCode::kLostSlot, "lost", std::move(reason)}; };
    const auto mismatch = [](std::string reason) {
        return Verdict{ExitCode::kLostSlot, "mismatch", std::move(reason)};
    };
    if (slot) {
        if (slot->plugin != "cdc_plugin") {
            return mismatch(slot->plugin.empty() ? "the slot is a physical one" : "the slot is one of " + slot->plugin);
        }
        if (slot->database != database) {
            return mismatch("the slot is one of database " + slot->database);
        }
        if (slot->wal_status == "lost") {
            return lost("the server has invalidated the slot: see cdc_consumer resnapshot");
        }
    }
    if (!sink_unknown.empty()) {
        return {ExitCode::kFailed, "unknown", "the sink could not be read: " + sink_unknown};
    }
    if (!sink_given) {
        return slot ? Verdict{} : lost("there is no such slot");
    }
    if (!state) {
        return slot ? mismatch("the slot is there, but the sink has nothing of it: see cdc_consumer resnapshot")
                    : Verdict{ExitCode::kDone, "new", "neither slot nor copy is there: the first run makes them"};
    }
    if (state->system_identifier != system_identifier || state->database != database) {
        return mismatch("the sink is a copy of database " + state->database + " of another server, or of another " +
                        "database of this one");
    }
    if (state->phase == Phase::kSnapshot) {
        return {ExitCode::kDone, "unfinished",
                "the copy is not complete: run goes on with it, or makes a new one where it cannot"};
    }
    if (!slot) {
        return lost("the slot is gone: see cdc_consumer resnapshot");
    }
    if (slot->confirmed_flush_lsn > state->position) {
        return lost("the slot is ahead of the sink: what lies between is gone; see cdc_consumer resnapshot");
    }
    if (state->position > source_end) {
        return mismatch("the sink is ahead of the source, which was set back or is another server");
    }
    return {};
}

std::string Status::table() const {
    std::string out;
    const auto row = [&](const char *label, const std::string &text) { add_row(out, label, text); };
    row("source", "database " + database + ", at " + lsn_text(source_end));
    if (slot) {
        row("slot", slot_name + (slot->active ? ", read by pid " + std::to_string(slot->active_pid)
                                              : std::string(", not read by anybody")));
        row("wal_status", slot->wal_status);
        row("restart_lsn", lsn_text(slot->restart_lsn) + ", retains " +
                               size_text(slot->restart_lsn == 0 ? 0 : distance(slot->restart_lsn, source_end)));
        row("confirmed_flush_lsn", lsn_text(slot->confirmed_flush_lsn));
    } else {
        row("slot", slot_name + " does not exist");
    }
    if (guard) {
        if (!guard->unknown.empty()) {
            row("guard", "not known: " + guard->unknown);
        } else {
            std::string text = guard->level;
            if (guard->cause != "none") {
                text += ", " + guard->cause;
            }
            if (guard->headroom_bytes) {
                text += *guard->headroom_bytes < 0
                            ? ", no headroom"
                            : ", headroom " + size_text(static_cast<uint64_t>(*guard->headroom_bytes));
            }
            row("guard", text);
            if (!guard->advice.empty()) {
                row("advice", guard->advice);
            }
        }
    }
    if (sink_given) {
        row("sink", sink_name);
        if (state) {
            row("phase", phase_text(*state));
            row("position", lsn_text(state->position) + ", " + size_text(distance(state->position, source_end)) +
                                " behind the source");
        }
    }
    const Verdict judged = verdict();
    row("verdict", judged.reason.empty() ? judged.word : std::string(judged.word) + ": " + judged.reason);
    return out;
}

std::string Status::json() const {
    using Json = nlohmann::ordered_json;
    Json out;
    out["source"] = {{"database", database}, {"system_identifier", system_identifier}, {"lsn", lsn_text(source_end)}};
    out["slot"] = nullptr;
    if (slot) {
        out["slot"] = {{"name", slot_name},
                       {"active", slot->active},
                       {"active_pid", slot->active ? Json(slot->active_pid) : Json()},
                       {"plugin", slot->plugin},
                       {"wal_status", slot->wal_status},
                       {"restart_lsn", lsn_text(slot->restart_lsn)},
                       {"confirmed_flush_lsn", lsn_text(slot->confirmed_flush_lsn)},
                       {"retained_bytes", slot->restart_lsn == 0 ? 0 : distance(slot->restart_lsn, source_end)}};
    }
    out["guard"] = nullptr;
    if (guard && guard->unknown.empty()) {
        out["guard"] = {{"level", guard->level},
                        {"cause", guard->cause},
                        {"advice", guard->advice},
                        {"headroom_bytes", guard->headroom_bytes ? Json(*guard->headroom_bytes) : Json()}};
    }
    out["sink"] = nullptr;
    if (sink_given) {
        out["sink"] = {{"name", sink_name}, {"phase", nullptr}, {"position", nullptr}, {"behind_bytes", nullptr}};
        if (state) {
            out["sink"]["phase"] = phase_text(*state);
            out["sink"]["position"] = lsn_text(state->position);
            out["sink"]["behind_bytes"] = distance(state->position, source_end);
        }
    }
    const Verdict judged = verdict();
    out["verdict"] = judged.word;
    out["reason"] = judged.reason;
    // Names of files need not be UTF-8.
    return out.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace cdc::consumer

// Under the lock only memory is touched; what can wait for a disk or another process comes behind it.
#include "watch.hpp"

#include <csignal>

#include "alerts.hpp"
#include "helpers.hpp"
#include "levels_file.hpp"
#include "message.hpp"
#include "quantity.hpp"
#include "settings.hpp"
#include "../pg/compat.hpp"

namespace cdc::guard {

namespace {

struct Change {
    const ServerSlot *slot;
    Verdict verdict;
    Flow flow;
    Level previous;
};

// A slot that was in trouble and is not there any more.
struct Gone {
    NameData name;
    Level previous;
};

void add_tick(const Surroundings &around) {
    const uint64 tick = shared->ticks++;
    int64 step = 0;
    if (tick > 0) {
        const Tick &before = ticks[(tick - 1) % shared->history];
        const int64 longest = 2 * settings.interval_ms * INT64CONST(1000) + USECS_PER_SEC;
        if (around.wal_lsn > before.wal_lsn && around.at - before.at < longest) {
            step = static_cast<int64>(around.wal_lsn - before.wal_lsn);
        }
    }
    Tick &place = ticks[tick % shared->history];
    const bool peak_ends = place.step > 0 && place.step == shared->peak_bytes;
    place = Tick{around.at, around.wall_at, around.wal_lsn, step, around.next_xid};
    shared->wal = wal_rate(ticks, shared->history, first_kept(tick >= kRateTicks ? tick - kRateTicks : 0), tick);
    shared->peak_bytes = Max(shared->peak_bytes, step);
    if (peak_ends) {
        // The ring is full, or nothing would be overwritten.
        shared->peak_bytes = 0;
        for (uint64 i = 0; i < shared->history; ++i) {
            shared->peak_bytes = Max(shared->peak_bytes, ticks[i].step);
        }
    }
}

// Brings a slot's entry, which is its own or unused, up to this sample. True if its level changed.
bool add_slot(const ServerSlot &slot, const Surroundings &around, const Limits &limits, Change &change) {
    SlotEntry &entry = entries[slot.index];
    // One that was lost and is not any more is another slot of the same name.
    const bool again = entry.used && entry.track.level == Level::kLost && !slot.seen.lost;
    const bool fresh = !entry.used || again;
    if (fresh) {
        entry = SlotEntry{};
        entry.used = true;
        entry.name = slot.name;
        entry.first_tick = shared->ticks - 1;
        entry.echo = -1;
    }
    const bool moved = fresh || entry.track.restart_lsn != slot.seen.restart_lsn;
    remember(entry.track, slot.seen, around.at, fresh);
    if (moved) {
        entry.track.restart_xid = next_xid_at(slot.seen.restart_lsn);
    }
    if (fresh) {
        entry.track.level = again ? Level::kLost : loaded_level(NameStr(slot.name));
    }
    entry.database = slot.database;
    if (slot.seen.active) {
        entry.inactive_since = 0;
    } else if (slot.server_inactive_since != 0) {
        entry.inactive_since = slot.server_inactive_since;
    } else if (entry.inactive_since == 0) {
        entry.inactive_since = around.wall_at;
    }
    if (entry.echo < 0 && entry.heartbeat_lsn != 0 && slot.seen.confirmed_lsn >= entry.heartbeat_lsn) {
        // Sent and confirmed between the look at the clock and the look at the slot: then it took no time.
        entry.echo = Max(around.wall_at - entry.heartbeat_at, INT64CONST(0));
    }

    SlotSample &sample = sample_at(slot.index, shared->ticks - 1);
    sample =
        SlotSample{slot.seen.restart_lsn, slot.seen.confirmed_lsn, 0, 0, slot.seen.active, Level::kOk, Cause::kNone};
    change.slot = &slot;
    change.previous = entry.track.level;
    change.flow = flow_of(slot.index);
    change.verdict = judge(slot.seen, change.flow, limits, &entry.track, around.at);
    const bool changed = settle(entry.track, change.verdict, around.at);
    sample.headroom = change.verdict.headroom;
    sample.percent = static_cast<int8>(change.verdict.percent);
    sample.level = change.verdict.level;
    sample.cause = change.verdict.cause;
    if (!change.verdict.at_own_cap) {
        entry.track.acted_at = 0;
    }
    return changed;
}

void say_action(const ServerSlot &slot, const Verdict &verdict, TimestampTz at, const char *what) {
    char retained[kQuantityRoom];
    char cap[kQuantityRoom];
    char detail[384];
    snprintf(detail, sizeof detail,
             "Replication slot \"%s\" retains %s of WAL, and its policy in cdc_plugin.guard_policies has a cap of %s. "
             "Cause: %s.",
             NameStr(slot.name), format_bytes(retained, verdict.retained), format_bytes(cap, slot.seen.own_cap),
             word(verdict.cause));
    alert_action(slot, verdict, at, what, detail);
}

// At a slot's own cap: what its policy says, once, and again when that changed nothing for the grace period.
void act(const ServerSlot &slot, const Verdict &verdict, const Surroundings &around) {
    const Policy *const policy = slot.policy;
    if (policy == nullptr || policy->at_cap == Action::kWarn) {
        return;  // the change of level said it
    }
    Track &track = entries[slot.index].track;
    const bool first = track.acted_at == 0;
    const auto is_recent = [&](int64 moment) { return around.at - moment < settings.grace_ms * INT64CONST(1000); };
    if (!first && is_recent(track.acted_at)) {
        return;
    }
    char what[256];
    if (policy->at_cap == Action::kTerminate) {
        // A consumer that has just come, that is catching up, or that has confirmed all there is, is not what holds WAL
        // back.
        if (!slot.seen.active || verdict.unconfirmed <= kNegligibleBytes || is_recent(track.active_at) ||
            (!first && is_recent(track.confirmed_moved_at))) {
            return;
        }
        // Alerts were written since the sample: whoever has left the slot meanwhile may be doing something else.
        if (!is_still_read(slot)) {
            return;
        }
        track.acted_at = around.at;
        const bool sent = kill(slot.active_pid, SIGTERM) == 0;
        snprintf(what, sizeof what,
                 sent ? "terminated process %d, which reads replication slot \"%s\""
                      : "could not terminate process %d, which reads replication slot \"%s\"",
                 static_cast<int>(slot.active_pid), NameStr(slot.name));
        say_action(slot, verdict, around.wall_at, what);
        return;
    }
    const char *why_not = nullptr;
    if (!slot.seen.logical) {
        why_not = "it is not logical";
    } else if (slot.seen.synced) {
        why_not = "it is synchronized from the primary";
    } else if (!slot.persistent) {
        why_not = "it is temporary";
    } else if (slot.seen.active) {
        why_not = "it is active";
    }
    if (why_not != nullptr) {
        if (first) {
            snprintf(what, sizeof what, "replication slot \"%s\" is not dropped, because %s", NameStr(slot.name),
                     why_not);
            say_action(slot, verdict, around.wall_at, what);
            track.acted_at = around.at;
        }
        return;
    }
    // One slot is dropped at a time: the next sample asks for the others again.
    if (order_drop(slot.name)) {
        track.acted_at = around.at;
    }
}

}  // namespace

void take_sample() {
    const int64 began = steady_now();
    const auto room = static_cast<Size>(Max(max_replication_slots, 1));
    auto *const slots = static_cast<ServerSlot *>(palloc(sizeof(ServerSlot) * room));
    auto *const changes = static_cast<Change *>(palloc(sizeof(Change) * room));
    auto *const due = static_cast<Change *>(palloc(sizeof(Change) * room));
    auto *const seen = static_cast<bool *>(palloc0(sizeof(bool) * room));
    auto *const gone = static_cast<Gone *>(palloc(sizeof(Gone) * room));
    const Surroundings around = look_around();
    const Limits limits = current_limits();
    const int count = read_slots(around, slots);
    int changed = 0;
    int due_count = 0;
    int gone_count = 0;
    const auto forget = [&](SlotEntry &entry) {
        if (entry.used && entry.track.level != Level::kOk) {
            gone[gone_count++] = Gone{entry.name, entry.track.level};
        }
        entry.used = false;
    };

    LWLockAcquire(shared->lock, LW_EXCLUSIVE);
    add_tick(around);
    for (int i = 0; i < count; ++i) {
        Change change;
        seen[slots[i].index] = true;
        if (strcmp(NameStr(entries[slots[i].index].name), NameStr(slots[i].name)) != 0) {
            forget(entries[slots[i].index]);  // a slot that had this place before
        }
        find_times(slots[i].seen);
        if (add_slot(slots[i], around, limits, change)) {
            changes[changed++] = change;
        }
        if (change.verdict.at_own_cap) {
            due[due_count++] = change;
        }
    }
    for (int i = 0; i < max_replication_slots; ++i) {
        if (!seen[i]) {
            forget(entries[i]);
        }
    }
    const int64 cost = steady_now() - began;
    shared->last_cost = cost;
    shared->most_cost = Max(shared->most_cost, cost);
    shared->total_cost += cost;
    LWLockRelease(shared->lock);

    forget_loaded_levels();
    for (int i = 0; i < changed; ++i) {
        alert_level(*changes[i].slot, changes[i].verdict, changes[i].flow, changes[i].previous, around.wall_at);
    }
    for (int i = 0; i < gone_count; ++i) {
        alert_gone(gone[i].name, gone[i].previous, around.wall_at);
    }
    if (changed + gone_count > 0) {
        save_levels();
    }
    for (int i = 0; i < due_count; ++i) {
        act(*due[i].slot, due[i].verdict, around);
    }
}

}  // namespace cdc::guard

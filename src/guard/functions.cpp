// What SQL sees of the guard. Slots are looked at when they are asked for; what takes time to know (rates, times, how
// long something lasts) comes from the worker's samples, and is NULL without a worker.
#include "../pg/materialize.hpp"
#include "alerts.hpp"
#include "helpers.hpp"
#include "message.hpp"
#include "quantity.hpp"
#include "settings.hpp"

namespace {

using namespace cdc;
using namespace cdc::guard;

// A worker that has not sampled for so long is not there, whatever shared memory says.
bool guard_is_watching(TimestampTz now) {
    if (shared == nullptr || shared->ticks == 0 || !settings.enabled) {
        return false;
    }
    const Tick &newest = ticks[(shared->ticks - 1) % shared->history];
    return now - newest.wall_at < 3 * settings.interval_ms * INT64CONST(1000) + 10 * USECS_PER_SEC;
}

void say_without_guard() {
    if (shared == nullptr) {
        ereport(NOTICE, errmsg("cdc_plugin is not preloaded: there are no rates, times, history and alerts"),
                errhint("Add cdc_plugin to shared_preload_libraries and restart the server; cdc.preflight() has the "
                        "command."));
    } else if (!settings.enabled) {
        ereport(NOTICE, errmsg("the guard of cdc_plugin is turned off: there are no rates, times and new alerts"),
                errhint("ALTER SYSTEM SET cdc_plugin.guard_enabled = on; SELECT pg_reload_conf();"));
    } else {
        ereport(NOTICE, errmsg("the guard of cdc_plugin takes no samples: there are no rates, times and new alerts"),
                errhint("Look for its messages in the server log."));
    }
}

// One slot as it is now, with what the guard remembers of it.
struct Report {
    Verdict verdict;
    Flow flow;
    TimestampTz inactive_since;
    TimestampTz sampled_at;
    TimestampTz heartbeat_at;
    int64 echo;
};

void judge_now(ServerSlot &slot, const Surroundings &around, bool watching, Report &report) {
    const Limits limits = current_limits();
    report = Report{};
    report.flow = Flow{{-1, false}, -1, -1, 0};
    report.echo = -1;
    report.inactive_since = slot.server_inactive_since;
    Track track;
    if (watching) {
        bool known = false;
        LWLockAcquire(shared->lock, LW_SHARED);
        const SlotEntry &entry = entries[slot.index];
        report.flow.wal = shared->wal;
        report.flow.peak_bytes = shared->peak_bytes;
        find_times(slot.seen);
        // Not if the place is another slot's by now.
        if (entry.used && strcmp(NameStr(entry.name), NameStr(slot.name)) == 0) {
            known = true;
            track = entry.track;
            report.flow = flow_of(slot.index);
            report.sampled_at = ticks[(shared->ticks - 1) % shared->history].wall_at;
            report.heartbeat_at = entry.heartbeat_lsn == 0 ? 0 : entry.heartbeat_at;
            report.echo = entry.echo;
            if (!slot.seen.active) {
                report.inactive_since = entry.inactive_since;
            }
        }
        LWLockRelease(shared->lock);
        remember(track, slot.seen, around.at, !known);
    }
    report.verdict = judge(slot.seen, report.flow, limits, watching ? &track : nullptr, around.at);
}

// The order of cdc.slot_state().
constexpr int kSlotColumns = 36;

void put_slot(ReturnSetInfo *result, ServerSlot &slot, const Surroundings &around, bool watching) {
    Report report;
    judge_now(slot, around, watching, report);
    const Observation &seen = slot.seen;
    const Verdict &verdict = report.verdict;
    NameData database;
    NameData culprit_database;
    find_database_name(slot.database, database);
    const bool culprit = seen.pin_xid != 0 && blames_transaction(verdict);
    find_database_name(culprit ? seen.pin_database : InvalidOid, culprit_database);
    const bool has_database = NameStr(culprit_database)[0] != '\0';
    char advice[512];
    put_advice(advice, sizeof advice, {NameStr(slot.name), has_database ? NameStr(culprit_database) : nullptr}, seen,
               verdict, report.flow);
    const bool reserved = !seen.lost && seen.restart_lsn != 0;
    const bool capped = verdict.cap_source != CapSource::kNone;
    const double wal = report.flow.wal.bytes_per_s;
    const double confirmed = report.flow.confirmed_bytes_per_s;

    pg::SetRow<kSlotColumns> row;
    row.add(CStringGetDatum(NameStr(slot.name)));
    row.add(BoolGetDatum(seen.active));
    row.add_text(word(verdict.level));
    row.add_text(word(verdict.cause));
    row.add_text(verdict.also == Cause::kNone ? nullptr : word(verdict.also));
    row.add_text(advice);
    row.add_int64(verdict.retained, reserved);
    row.add_int64(verdict.unconfirmed, reserved);
    row.add_int64(verdict.cap, capped);
    row.add_text(word(verdict.cap_source));
    row.add_int64(verdict.headroom, capped);
    row.add_if(verdict.percent >= 0, Int32GetDatum(verdict.percent));
    row.add_int64(static_cast<int64>(wal), wal >= 0);
    row.add_int64(static_cast<int64>(confirmed), confirmed >= 0 && !seen.lost);
    row.add_interval(verdict.time_to_cap);
    row.add_int64(seen.disk_free, seen.disk_free >= 0);
    row.add_interval(verdict.time_to_full);
    row.add_text(slot.wal_status);
    row.add_if(culprit && seen.pin_pid != 0, Int32GetDatum(seen.pin_pid));
    row.add_int64(seen.pin_xid, culprit);
    row.add_if(culprit, BoolGetDatum(seen.pin_prepared));
    row.add_if(culprit && has_database, CStringGetDatum(NameStr(culprit_database)));
    row.add_time(report.inactive_since);
    row.add_time(report.sampled_at);
    row.add_text(seen.logical ? "logical" : "physical");
    row.add_if(seen.logical, CStringGetDatum(NameStr(slot.plugin)));
    row.add_if(NameStr(database)[0] != '\0', CStringGetDatum(NameStr(database)));
    row.add_if(seen.active, Int32GetDatum(static_cast<int32>(slot.active_pid)));
    row.add_lsn(seen.restart_lsn);
    row.add_lsn(seen.confirmed_lsn);
    row.add_lsn(seen.walsender ? seen.sent_lsn : InvalidXLogRecPtr);
    row.add_int64(seen.catalog_age, TransactionIdIsNormal(slot.catalog_xmin) && !seen.lost);
    row.add_text(slot.policy == nullptr ? nullptr : word(slot.policy->at_cap));
    row.add_int64(report.flow.peak_bytes, watching);
    row.add_time(report.heartbeat_at);
    row.add_interval(report.echo);
    row.put(result);
}

void list_slots(FunctionCallInfo fcinfo) {
    ReturnSetInfo *const result = pg::begin_set(fcinfo, false);
    auto *const slots =
        static_cast<ServerSlot *>(palloc(sizeof(ServerSlot) * static_cast<Size>(Max(max_replication_slots, 1))));
    const Surroundings around = look_around();
    const int count = read_slots(around, slots);
    bool watching = false;
    if (shared != nullptr) {
        LWLockAcquire(shared->lock, LW_SHARED);
        watching = guard_is_watching(around.wall_at);
        LWLockRelease(shared->lock);
    }
    if (!watching) {
        say_without_guard();
    }
    for (int i = 0; i < count; ++i) {
        put_slot(result, slots[i], around, watching);
    }
}

// Copies of the rings are written out without the lock: a tuplestore may write to disk.
void list_history(FunctionCallInfo fcinfo) {
    ReturnSetInfo *const result = pg::begin_set(fcinfo, false);
    if (shared == nullptr) {
        say_without_guard();
        return;
    }
    const auto history = static_cast<Size>(shared->history);
    auto *const copied_ticks = static_cast<Tick *>(palloc(sizeof(Tick) * history));
    auto *const copied = static_cast<SlotSample *>(palloc(sizeof(SlotSample) * history));
    // Millions of rows are possible: their texts must go, and a cancel be heeded, on the way.
    const MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "cdc_plugin history", ALLOCSET_DEFAULT_SIZES);
    const MemoryContext caller = MemoryContextSwitchTo(context);
    for (int slot = 0; slot < max_replication_slots; ++slot) {
        CHECK_FOR_INTERRUPTS();
        LWLockAcquire(shared->lock, LW_SHARED);
        const bool used = entries[slot].used;
        const NameData name = entries[slot].name;
        const uint64 first = first_kept(entries[slot].first_tick);
        const uint64 end = shared->ticks;
        for (uint64 tick = first; used && tick < end; ++tick) {
            copied_ticks[tick - first] = ticks[tick % shared->history];
            copied[tick - first] = sample_at(slot, tick);
        }
        LWLockRelease(shared->lock);
        for (uint64 tick = first; used && tick < end; ++tick) {
            const Tick &at = copied_ticks[tick - first];
            const SlotSample &sample = copied[tick - first];
            const bool lost = sample.level == Level::kLost;
            pg::SetRow<10> row;
            row.add(CStringGetDatum(NameStr(name)));
            row.add_time(at.wall_at);
            row.add_lsn(at.wal_lsn);
            row.add_lsn(sample.restart_lsn);
            row.add_lsn(sample.confirmed_lsn);
            row.add_int64(static_cast<int64>(at.wal_lsn - sample.restart_lsn),
                          !lost && sample.restart_lsn != 0 && at.wal_lsn >= sample.restart_lsn);
            row.add_int64(sample.headroom, sample.percent >= 0);
            row.add(BoolGetDatum(sample.active));
            row.add_text(word(sample.level));
            row.add_text(word(sample.cause));
            row.put(result);
        }
        MemoryContextReset(context);
    }
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(context);
}

void list_alerts(FunctionCallInfo fcinfo) {
    ReturnSetInfo *const result = pg::begin_set(fcinfo, false);
    if (shared == nullptr) {
        say_without_guard();
        return;
    }
    auto *const alert = static_cast<Alert *>(palloc(sizeof(Alert)));
    LWLockAcquire(shared->lock, LW_SHARED);
    const uint64 end = shared->alerts;
    LWLockRelease(shared->lock);
    for (uint64 number = end > kAlerts ? end - kAlerts + 1 : 1; number <= end; ++number) {
        LWLockAcquire(shared->lock, LW_SHARED);
        *alert = alert_at(number);
        const bool notified = number <= shared->notified;
        LWLockRelease(shared->lock);
        if (alert->number != number) {
            continue;
        }
        pg::SetRow<21> row;
        row.add_int64(static_cast<int64>(number));
        row.add_time(alert->raised_at);
        row.add(CStringGetDatum(NameStr(alert->slot)));
        row.add_text(alert->action ? "action" : "level");
        row.add_text(word(alert->level));
        row.add_text(word(alert->previous));
        row.add_text(word(alert->cause));
        row.add_text(alert->also == Cause::kNone ? nullptr : word(alert->also));
        row.add_text(alert->message);
        row.add_text(alert->detail[0] == '\0' ? nullptr : alert->detail);
        row.add_text(alert->hint[0] == '\0' ? nullptr : alert->hint);
        row.add_int64(alert->retained);
        row.add_int64(alert->cap, alert->cap_source != CapSource::kNone);
        row.add_int64(alert->headroom, alert->cap_source != CapSource::kNone);
        row.add_interval(alert->time_to_cap);
        row.add_int64(alert->disk_free, alert->disk_free >= 0);
        row.add_if(alert->pid != 0, Int32GetDatum(alert->pid));
        row.add_int64(alert->xid, alert->xid != 0);
        row.add_text(alert->gid[0] == '\0' ? nullptr : alert->gid);
        row.add_text(NameStr(alert->database)[0] == '\0' ? nullptr : NameStr(alert->database));
        row.add(BoolGetDatum(notified));
        row.put(result);
    }
}

// One row: what the guard itself is doing.
void guard_status(FunctionCallInfo fcinfo) {
    ReturnSetInfo *const result = pg::begin_set(fcinfo, false);
    pg::SetRow<13> row;
    const Surroundings around = look_around();
    row.add(BoolGetDatum(shared != nullptr));
    row.add(BoolGetDatum(settings.enabled));
    if (shared == nullptr) {
        for (int i = 0; i < 8; ++i) {
            row.add_null();
        }
    } else {
        LWLockAcquire(shared->lock, LW_SHARED);
        const bool sampled = shared->ticks > 0;
        const double samples = sampled ? static_cast<double>(shared->ticks) : 1;
        row.add_if(shared->worker_pid != 0, Int32GetDatum(static_cast<int32>(shared->worker_pid)));
        row.add(BoolGetDatum(guard_is_watching(around.wall_at)));
        row.add_int64(static_cast<int64>(shared->ticks));
        row.add_time(sampled ? ticks[(shared->ticks - 1) % shared->history].wall_at : 0);
        row.add_if(sampled, Float8GetDatum(static_cast<double>(shared->last_cost)));
        row.add_if(sampled, Float8GetDatum(static_cast<double>(shared->total_cost) / samples));
        row.add_if(sampled, Float8GetDatum(static_cast<double>(shared->most_cost)));
        row.add_int64(shared->peak_bytes);
        LWLockRelease(shared->lock);
    }
    row.add_int64(around.disk_free, around.disk_free >= 0);
    row.add_int64(static_cast<int64>(settings.interval_ms));
    row.add_if(max_slot_wal_keep_size_mb >= 0, Int64GetDatum(max_slot_wal_keep_size_mb * INT64CONST(1048576)));
    row.put(result);
}

Datum heartbeat() {
    if (RecoveryInProgress()) {
        ereport(ERROR, errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("cannot write a heartbeat during recovery"),
                errhint("Write it on the primary: its WAL reaches the slots of the standby."));
    }
    return LSNGetDatum(emit_heartbeat());
}

}  // namespace

extern "C" {
CDC_FUNCTION(cdc_slot_state) {
    pg::guarded([=] { list_slots(fcinfo); });
    return 0;
}

CDC_FUNCTION(cdc_slot_samples) {
    pg::guarded([=] { list_history(fcinfo); });
    return 0;
}

CDC_FUNCTION(cdc_alert_ring) {
    pg::guarded([=] { list_alerts(fcinfo); });
    return 0;
}

CDC_FUNCTION(cdc_guard_status) {
    pg::guarded([=] { guard_status(fcinfo); });
    return 0;
}

CDC_FUNCTION(cdc_heartbeat) {
    (void) fcinfo;
    return pg::guarded([] { return heartbeat(); });
}
}

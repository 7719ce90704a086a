// One way in for all alerts.
#include "alerts.hpp"

#include "message.hpp"

namespace cdc::guard {

namespace {

// The log first: it needs no more than the process.
void raise(Alert &alert) {
    const int elevel = alert.action || alert.level >= Level::kWarning ? WARNING : NOTICE;
    ereport(elevel, errcode(elevel == WARNING ? ERRCODE_WARNING : ERRCODE_SUCCESSFUL_COMPLETION),
            errmsg_internal("%s", alert.message), alert.detail[0] != '\0' ? errdetail_internal("%s", alert.detail) : 0,
            alert.hint[0] != '\0' ? errhint("%s", alert.hint) : 0);
    LWLockAcquire(shared->lock, LW_EXCLUSIVE);
    alert.number = ++shared->alerts;
    alert_at(alert.number) = alert;
    if (shared->alerts - shared->notified > kAlerts) {
        shared->notified = shared->alerts - kAlerts;  // overwritten before they were sent
    }
    LWLockRelease(shared->lock);
}

}  // namespace

void find_database_name(Oid database, NameData &name) {
    MemSet(&name, 0, sizeof name);
    if (!OidIsValid(database)) {
        return;
    }
    const bool own = !IsTransactionState();
    const MemoryContext caller = CurrentMemoryContext;
    if (own) {
        StartTransactionCommand();
    }
    const char *const found = get_database_name(database);
    if (found != nullptr) {
        namestrcpy(&name, found);
    }
    if (own) {
        CommitTransactionCommand();
        MemoryContextSwitchTo(caller);
    }
}

void describe(Alert &alert, const ServerSlot &slot, const Verdict &verdict, Level previous, TimestampTz at) {
    alert = Alert{};
    alert.raised_at = at;
    alert.slot = slot.name;
    alert.level = verdict.level;
    alert.previous = previous;
    alert.cause = verdict.cause;
    alert.also = verdict.also;
    alert.cap_source = verdict.cap_source;
    alert.retained = verdict.retained;
    alert.cap = verdict.cap;
    alert.headroom = verdict.headroom;
    alert.time_to_cap = verdict.time_to_cap;
    alert.disk_free = slot.seen.disk_free;
    if (blames_transaction(verdict)) {
        alert.xid = slot.seen.pin_xid;
        alert.pid = slot.seen.pin_pid;
        find_database_name(slot.seen.pin_database, alert.database);
    }
}

void alert_level(const ServerSlot &slot, const Verdict &verdict, const Flow &flow, Level previous, TimestampTz at) {
    Alert alert;
    describe(alert, slot, verdict, previous, at);
    const char *const database = NameStr(alert.database);
    const Names names{NameStr(slot.name), *database == '\0' ? nullptr : database};
    put_message(alert.message, sizeof alert.message, names, verdict, previous);
    put_detail(alert.detail, sizeof alert.detail, names, slot.seen, verdict, flow);
    if (verdict.level != Level::kOk) {
        put_advice(alert.hint, sizeof alert.hint, names, slot.seen, verdict, flow);
    }
    raise(alert);
}

void alert_gone(const NameData &slot, Level previous, TimestampTz at) {
    Alert alert{};
    alert.raised_at = at;
    alert.slot = slot;
    alert.previous = previous;
    alert.cap = alert.time_to_cap = alert.disk_free = -1;
    snprintf(alert.message, sizeof alert.message, "replication slot \"%s\" is gone: it was dropped", NameStr(slot));
    raise(alert);
}

void alert_action(const ServerSlot &slot, const Verdict &verdict, TimestampTz at, const char *message,
                  const char *detail) {
    Alert alert;
    describe(alert, slot, verdict, verdict.level, at);
    alert.action = true;
    strlcpy(alert.message, message, sizeof alert.message);
    strlcpy(alert.detail, detail, sizeof alert.detail);
    raise(alert);
}

}  // namespace cdc::guard

// Orders on the main worker's side, and the helpers' own side further down. A helper that fails ends; the main worker
// tries again later.
#include "helpers.hpp"

#include "../pg/boundary.hpp"
#include "../pg/compat.hpp"
#include "../wire/schema.hpp"
#include "alerts.hpp"
#include "quantity.hpp"
#include "settings.hpp"

namespace cdc::guard {

namespace {

enum class Kind : int32 { kNotify, kHeartbeat, kDrop };
constexpr int kKinds = 3;
constexpr const char *kKindNames[kKinds] = {"notify", "heartbeat", "drop"};

// What a helper is told. Fits into bgw_extra.
struct Order {
    Kind kind;
    Oid database;
    NameData name;  // of a slot, or of a database
};
static_assert(sizeof(Order) <= BGW_EXTRALEN, "an order must fit");

constexpr int64 kRetry = 30 * USECS_PER_SEC;  // behind a helper that failed
// Less WAL than this since the last heartbeat pins nothing worth another one; heartbeats write a little themselves.
constexpr uint64 kHeartbeatBytes = 64 * 1024;

struct Helper {
    BackgroundWorkerHandle *handle;  // nullptr if none runs
    int64 wait_until;
    uint64 goal;  // of a notification: alerts that were there when it started
};

Helper helpers[kKinds];
bool complained;  // that no worker is to be had

bool start(const Order &order) {
    BackgroundWorker worker;
    MemSet(&worker, 0, sizeof worker);
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_ConsistentState;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    worker.bgw_notify_pid = MyProcPid;
    strlcpy(worker.bgw_library_name, "cdc_plugin", sizeof worker.bgw_library_name);
    strlcpy(worker.bgw_function_name, "cdc_guard_helper_main", sizeof worker.bgw_function_name);
    snprintf(worker.bgw_name, sizeof worker.bgw_name, "cdc_plugin guard: %s", kKindNames[static_cast<int>(order.kind)]);
    strlcpy(worker.bgw_type, "cdc_plugin guard helper", sizeof worker.bgw_type);
    memcpy(worker.bgw_extra, &order, sizeof order);

    Helper &helper = helpers[static_cast<int>(order.kind)];
    const MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
    const bool registered = RegisterDynamicBackgroundWorker(&worker, &helper.handle);
    MemoryContextSwitchTo(caller);
    if (registered) {
        complained = false;
        return true;
    }
    helper.handle = nullptr;
    helper.wait_until = steady_now() + kRetry;
    if (!complained) {
        complained = true;
        ereport(WARNING, errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                errmsg("the guard of cdc_plugin gets no background worker for its helper \"%s\"",
                       kKindNames[static_cast<int>(order.kind)]),
                errhint("Raise max_worker_processes."));
    }
    return false;
}

// Whether a helper of the kind may be started now.
bool is_free(Kind kind) {
    Helper &helper = helpers[static_cast<int>(kind)];
    if (helper.handle != nullptr) {
        pid_t pid;
        const BgwHandleStatus status = GetBackgroundWorkerPid(helper.handle, &pid);
        if (status == BGWH_STARTED || status == BGWH_NOT_YET_STARTED) {
            return false;
        }
        pfree(helper.handle);
        helper.handle = nullptr;
        LWLockAcquire(shared->lock, LW_SHARED);
        const uint64 notified = shared->notified;
        LWLockRelease(shared->lock);
        if (kind == Kind::kNotify && notified < helper.goal) {
            helper.wait_until = steady_now() + kRetry;  // it failed, and said why in the log
        }
    }
    return steady_now() >= helper.wait_until;
}

void run_notify() {
    LWLockAcquire(shared->lock, LW_SHARED);
    const uint64 alerts = shared->alerts;
    const uint64 notified = shared->notified;
    LWLockRelease(shared->lock);
    if (alerts == notified) {
        return;
    }
    if (settings.notify_database[0] == '\0' || RecoveryInProgress()) {
        LWLockAcquire(shared->lock, LW_EXCLUSIVE);
        shared->notified = alerts;  // nobody is to hear of them
        LWLockRelease(shared->lock);
        return;
    }
    if (is_free(Kind::kNotify)) {
        Order order{};
        order.kind = Kind::kNotify;
        namestrcpy(&order.name, settings.notify_database);
        helpers[static_cast<int>(Kind::kNotify)].goal = alerts;
        start(order);
    }
}

// The database whose heartbeat is due for longest, if any is.
Oid due_database(TimestampTz now, XLogRecPtr wal_lsn) {
    Oid due = InvalidOid;
    TimestampTz oldest = 0;
    LWLockAcquire(shared->lock, LW_SHARED);
    for (int i = 0; i < max_replication_slots; ++i) {
        const SlotEntry &entry = entries[i];
        if (!entry.used || !OidIsValid(entry.database) || entry.track.level == Level::kLost ||
            now - entry.heartbeat_at < settings.heartbeat_ms * INT64CONST(1000) ||
            wal_lsn < entry.heartbeat_lsn + kHeartbeatBytes) {
            continue;
        }
        if (!OidIsValid(due) || entry.heartbeat_at < oldest) {
            due = entry.database;
            oldest = entry.heartbeat_at;
        }
    }
    LWLockRelease(shared->lock);
    return due;
}

void run_heartbeat() {
    if (settings.heartbeat_ms == 0 || RecoveryInProgress() || !is_free(Kind::kHeartbeat)) {
        return;
    }
    const Oid database = due_database(GetCurrentTimestamp(), pg::written_wal_end(false));
    if (OidIsValid(database)) {
        Order order{};
        order.kind = Kind::kHeartbeat;
        order.database = database;
        // Whatever becomes of it, the next database must get its turn.
        LWLockAcquire(shared->lock, LW_EXCLUSIVE);
        for (int i = 0; i < max_replication_slots; ++i) {
            if (entries[i].used && entries[i].database == database) {
                entries[i].heartbeat_at = GetCurrentTimestamp();
            }
        }
        LWLockRelease(shared->lock);
        start(order);
    }
}

// --- in a helper
// ------------------------------------------------------------------------------------------------------

constexpr char kNotifySql[] =
    "SELECT pg_catalog.pg_notify('cdc_alerts', pg_catalog.json_build_object("
    "'number', $1::bigint, 'raised_at', pg_catalog.to_timestamp($2::float8), 'kind', $3::text, 'slot_name', $4::text, "
    "'level', $5::text, 'previous_level', $6::text, 'cause', $7::text, 'also', $8::text, 'message', $9::text, "
    "'detail', $10::text, 'hint', $11::text, 'retained_bytes', $12::bigint, 'headroom_bytes', $13::bigint, "
    "'seconds_to_cap', $14::float8, 'culprit_pid', $15::int, 'culprit_gid', $16::text, 'culprit_database', $17::text"
    ")::text)";
constexpr int kNotifyArguments = 17;

const char *text_or_null(const char *text) {
    return *text == '\0' ? nullptr : text;
}

// The gid of a prepared transaction, and its database, can only be read in SQL.
void find_gid(Alert &alert) {
    if (alert.xid == 0 || alert.pid != 0) {
        return;
    }
    Oid type = INT8OID;
    Datum xid = Int64GetDatum(alert.xid);
    if (SPI_execute_with_args(
            "SELECT gid, database FROM pg_catalog.pg_prepared_xacts WHERE transaction::text::bigint = $1", 1, &type,
            &xid, nullptr, true, 1) == SPI_OK_SELECT &&
        SPI_processed == 1) {
        const char *const gid = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
        const char *const database = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
        strlcpy(alert.gid, gid == nullptr ? "" : gid, sizeof alert.gid);
        namestrcpy(&alert.database, database == nullptr ? "" : database);
    }
}

struct Arguments {
    Oid types[kNotifyArguments];
    Datum values[kNotifyArguments];
    char nulls[kNotifyArguments];
    int used = 0;

    void add(Oid type, Datum value, bool known = true) {
        types[used] = type;
        values[used] = value;
        nulls[used++] = known ? ' ' : 'n';
    }
    void add_text(const char *text) { add(TEXTOID, text == nullptr ? 0 : CStringGetTextDatum(text), text != nullptr); }
};

void notify(Alert &alert) {
    find_gid(alert);
    Arguments arguments;
    arguments.add(INT8OID, Int64GetDatum(static_cast<int64>(alert.number)));
    // Seconds since 1970.
    constexpr int64 kEpoch = static_cast<int64>(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
    arguments.add(FLOAT8OID, Float8GetDatum(static_cast<double>(alert.raised_at) / 1e6 + static_cast<double>(kEpoch)));
    arguments.add_text(alert.action ? "action" : "level");
    arguments.add_text(NameStr(alert.slot));
    arguments.add_text(word(alert.level));
    arguments.add_text(word(alert.previous));
    arguments.add_text(word(alert.cause));
    arguments.add_text(alert.also == Cause::kNone ? nullptr : word(alert.also));
    arguments.add_text(alert.message);
    arguments.add_text(text_or_null(alert.detail));
    arguments.add_text(text_or_null(alert.hint));
    arguments.add(INT8OID, Int64GetDatum(alert.retained));
    arguments.add(INT8OID, Int64GetDatum(alert.headroom), alert.cap_source != CapSource::kNone);
    arguments.add(FLOAT8OID, Float8GetDatum(static_cast<double>(alert.time_to_cap) / 1e6), alert.time_to_cap >= 0);
    arguments.add(INT4OID, Int32GetDatum(alert.pid), alert.pid != 0);
    arguments.add_text(text_or_null(alert.gid));
    arguments.add_text(text_or_null(NameStr(alert.database)));
    Assert(arguments.used == kNotifyArguments);
    SPI_execute_with_args(kNotifySql, kNotifyArguments, arguments.types, arguments.values, arguments.nulls, false, 0);
}

void notify_all(const Order &order) {
    BackgroundWorkerInitializeConnection(NameStr(order.name), nullptr, 0);
    StartTransactionCommand();
    SPI_connect();
    PushActiveSnapshot(GetTransactionSnapshot());
    auto *const alert = static_cast<Alert *>(palloc(sizeof(Alert)));
    LWLockAcquire(shared->lock, LW_SHARED);
    const uint64 end = shared->alerts;
    uint64 number = Max(shared->notified, end > kAlerts ? end - kAlerts : 0);
    LWLockRelease(shared->lock);
    while (number < end) {
        ++number;
        LWLockAcquire(shared->lock, LW_SHARED);
        *alert = alert_at(number);
        LWLockRelease(shared->lock);
        if (alert->number != number) {
            continue;  // overwritten meanwhile
        }
        notify(*alert);
        if (alert->gid[0] != '\0') {
            LWLockAcquire(shared->lock, LW_EXCLUSIVE);
            if (alert_at(number).number == number) {
                memcpy(alert_at(number).gid, alert->gid, kGidRoom);
                alert_at(number).database = alert->database;
            }
            LWLockRelease(shared->lock);
        }
    }
    SPI_finish();
    PopActiveSnapshot();
    CommitTransactionCommand();
    LWLockAcquire(shared->lock, LW_EXCLUSIVE);
    shared->notified = Max(shared->notified, end);
    LWLockRelease(shared->lock);
}

void heartbeat(const Order &order) {
    BackgroundWorkerInitializeConnectionByOid(order.database, InvalidOid, 0);
    StartTransactionCommand();
    emit_heartbeat();
    CommitTransactionCommand();
}

// All that was true when the order was given is asked again.
void drop(const Order &order) {
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    const char *const name = NameStr(order.name);
    StartTransactionCommand();
    const Surroundings around = look_around();
    auto *const slots =
        static_cast<ServerSlot *>(palloc(sizeof(ServerSlot) * static_cast<Size>(Max(max_replication_slots, 1))));
    const int count = read_slots(around, slots);
    for (int i = 0; i < count; ++i) {
        const ServerSlot &slot = slots[i];
        const Policy *const policy = slot.policy;
        if (strcmp(NameStr(slot.name), name) != 0 || !slot.seen.logical || slot.seen.synced || slot.seen.active ||
            !slot.persistent || slot.seen.lost || policy == nullptr || policy->at_cap != Action::kDrop ||
            retained_bytes(slot.seen) < policy->cap) {
            continue;
        }
        ReplicationSlotDrop(name, true);  // fails if a consumer was faster
        char retained[kQuantityRoom];
        char cap[kQuantityRoom];
        char message[256];
        char detail[384];
        snprintf(message, sizeof message, "dropped replication slot \"%s\"", name);
        snprintf(detail, sizeof detail,
                 "It had no consumer and retained %s of WAL; its policy in cdc_plugin.guard_policies has a cap of %s.",
                 format_bytes(retained, retained_bytes(slot.seen)), format_bytes(cap, policy->cap));
        const Flow flow{{-1, false}, -1, -1, 0};
        Verdict verdict = judge(slot.seen, flow, current_limits(), nullptr, around.at);
        verdict.level = Level::kLost;
        alert_action(slot, verdict, around.wall_at, message, detail);
    }
    CommitTransactionCommand();
}

void help() {
    Order order;
    memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof order);
    if (shared == nullptr) {
        return;
    }
    switch (order.kind) {
        case Kind::kNotify:
            notify_all(order);
            break;
        case Kind::kHeartbeat:
            heartbeat(order);
            break;
        case Kind::kDrop:
            drop(order);
            break;
    }
}

}  // namespace

void run_helpers() {
    run_notify();
    run_heartbeat();
}

void retry_helpers() {
    for (Helper &helper : helpers) {
        helper.wait_until = 0;
    }
}

bool order_drop(const NameData &slot) {
    if (!is_free(Kind::kDrop)) {
        return false;
    }
    Order order{};
    order.kind = Kind::kDrop;
    order.name = slot;
    return start(order);
}

XLogRecPtr emit_heartbeat() {
    const TimestampTz now = GetCurrentTimestamp();
    char content[64];
    snprintf(content, sizeof content, "{\"at\":\"%s\"}", timestamptz_to_str(now));
    const XLogRecPtr lsn = pg::emit_message(wire::kHeartbeatPrefix, content);
    if (shared != nullptr) {
        LWLockAcquire(shared->lock, LW_EXCLUSIVE);
        for (int i = 0; i < max_replication_slots; ++i) {
            if (entries[i].used && entries[i].database == MyDatabaseId) {
                entries[i].heartbeat_lsn = lsn;
                entries[i].heartbeat_at = now;
                entries[i].echo = -1;
            }
        }
        LWLockRelease(shared->lock);
    }
    return lsn;
}

extern "C" {
PGDLLEXPORT void cdc_guard_helper_main(Datum /*argument*/);
void cdc_guard_helper_main(Datum /*argument*/) {
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    pg::guarded([] { help(); });
}
}

}  // namespace cdc::guard

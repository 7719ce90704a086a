// Samples at every interval until it is told to end. Connected to no database, so that it is in nobody's way: a worker
// with a connection would stop DROP DATABASE, and one that does not check for interrupts would hang it.
#include "worker.hpp"

#include "../pg/boundary.hpp"
#include "helpers.hpp"
#include "levels_file.hpp"
#include "settings.hpp"
#include "watch.hpp"

namespace cdc::guard {

namespace {

constexpr int kRestartSeconds = 5;

// Under PostgreSQL's default for log_min_messages (warning) no NOTICE would reach the log.
void log_notices() {
    if (log_min_messages > NOTICE || log_min_messages == LOG) {
        SetConfigOption("log_min_messages", "notice", PGC_SUSET, PGC_S_OVERRIDE);
    }
}

void forget_pid(int /*code*/, Datum /*argument*/) {
    LWLockAcquire(shared->lock, LW_EXCLUSIVE);
    if (shared->worker_pid == MyProcPid) {
        shared->worker_pid = 0;
    }
    LWLockRelease(shared->lock);
}

void run() {
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    log_notices();
    // Statistics as they are now, in memory that is freed with the sample.
    SetConfigOption("stats_fetch_consistency", "none", PGC_USERSET, PGC_S_OVERRIDE);

    LWLockAcquire(shared->lock, LW_EXCLUSIVE);
    shared->worker_pid = MyProcPid;
    const bool first_start = shared->ticks == 0;
    LWLockRelease(shared->lock);
    before_shmem_exit(forget_pid, 0);
    if (first_start) {
        load_levels();
    }
    const MemoryContext context = AllocSetContextCreate(TopMemoryContext, "cdc_plugin guard", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(context);
    int64 next = steady_now();
    while (true) {
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending) {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
            log_notices();
            retry_helpers();
        }
        const int64 interval = settings.interval_ms * INT64CONST(1000);
        int64 now = steady_now();
        if (next > now + interval) {
            next = now;  // the interval was shortened
        }
        if (now >= next) {
            if (settings.enabled) {
                take_sample();
            }
            // Not from `now`, so that intervals do not drift; not from the past either, if this took long.
            next = Max(next + interval, now + interval / 2);
        }
        if (settings.enabled) {
            run_helpers();
        }
        MemoryContextReset(context);
        now = steady_now();
        const auto wait = static_cast<long>(next > now ? (next - now + 999) / 1000 : 0);
        WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, wait, PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
    }
}

}  // namespace

void register_worker() {
    BackgroundWorker worker;
    MemSet(&worker, 0, sizeof worker);
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_ConsistentState;
    worker.bgw_restart_time = kRestartSeconds;
    strlcpy(worker.bgw_library_name, "cdc_plugin", sizeof worker.bgw_library_name);
    strlcpy(worker.bgw_function_name, "cdc_guard_main", sizeof worker.bgw_function_name);
    strlcpy(worker.bgw_name, "cdc_plugin guard", sizeof worker.bgw_name);
    strlcpy(worker.bgw_type, "cdc_plugin guard", sizeof worker.bgw_type);
    RegisterBackgroundWorker(&worker);
}

extern "C" {
PGDLLEXPORT void cdc_guard_main(Datum /*argument*/);
void cdc_guard_main(Datum /*argument*/) {
    pg::guarded([] { run(); });
}
}

}  // namespace cdc::guard

// Reservation, creation and the sums over the rings.
#include "shared.hpp"

#include "../pg/boundary.hpp"
#include "settings.hpp"

namespace cdc::guard {

Shared *shared;
Tick *ticks;
SlotEntry *entries;
SlotSample *samples;

namespace {

constexpr char kName[] = "cdc_plugin guard";
constexpr int64 kGrowthTime = 60 * USECS_PER_SEC;  // below this, the steps of restart_lsn are all that one would see
constexpr uint64 kGrowthTicks = 300;

#if PG_VERSION_NUM >= 150000
shmem_request_hook_type next_request_hook;
#endif
shmem_startup_hook_type next_startup_hook;

Size shared_size() {
    const auto slots = static_cast<Size>(max_replication_slots);
    const auto history = static_cast<Size>(settings.history);
    Size size = MAXALIGN(sizeof(Shared));
    size = add_size(size, MAXALIGN(mul_size(history, sizeof(Tick))));
    size = add_size(size, MAXALIGN(mul_size(slots, sizeof(SlotEntry))));
    return add_size(size, mul_size(mul_size(slots, history), sizeof(SlotSample)));
}

void reserve() {
    RequestAddinShmemSpace(shared_size());
    RequestNamedLWLockTranche(kName, 1);
}

void create() {
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    bool found;
    auto *at = static_cast<char *>(ShmemInitStruct(kName, shared_size(), &found));
    shared = reinterpret_cast<Shared *>(at);
    if (!found) {
        memset(at, 0, shared_size());
        shared->lock = &GetNamedLWLockTranche(kName)->lock;
        shared->history = static_cast<uint64>(settings.history);
    }
    at += MAXALIGN(sizeof(Shared));
    ticks = reinterpret_cast<Tick *>(at);
    at += MAXALIGN(shared->history * sizeof(Tick));
    entries = reinterpret_cast<SlotEntry *>(at);
    at += MAXALIGN(static_cast<Size>(max_replication_slots) * sizeof(SlotEntry));
    samples = reinterpret_cast<SlotSample *>(at);
    LWLockRelease(AddinShmemInitLock);
}

extern "C" {
#if PG_VERSION_NUM >= 150000
static void on_request() {
    if (next_request_hook != nullptr) {
        next_request_hook();
    }
    pg::guarded([] { reserve(); });
}
#endif

static void on_startup() {
    if (next_startup_hook != nullptr) {
        next_startup_hook();
    }
    pg::guarded([] { create(); });
}
}

double per_second(uint64 from, uint64 to, int64 time) {
    return time <= 0 || from == 0 || to < from ? -1 : static_cast<double>(to - from) * 1e6 / static_cast<double>(time);
}

}  // namespace

void request_shared() {
#if PG_VERSION_NUM >= 150000
    next_request_hook = shmem_request_hook;
    shmem_request_hook = on_request;
#else
    reserve();
#endif
    next_startup_hook = shmem_startup_hook;
    shmem_startup_hook = on_startup;
}

int64 steady_now() {
    instr_time now;
    INSTR_TIME_SET_CURRENT(now);
    return static_cast<int64>(INSTR_TIME_GET_MICROSEC(now));
}

uint64 first_kept(uint64 first) {
    const uint64 oldest = shared->ticks > shared->history ? shared->ticks - shared->history : 0;
    return Max(first, oldest);
}

// The newest kept tick at which WAL ended there or before; nullptr if there is none. Asked for each slot at each
// sample, so with one division for all, and at the near end first.
static const Tick *newest_until(uint64 lsn) {
    const uint64 oldest = first_kept(0);
    const uint64 start = oldest % shared->history;
    const auto kept = [=](uint64 number) -> const Tick * {
        const uint64 place = start + number;
        return &ticks[place < shared->history ? place : place - shared->history];
    };
    uint64 low = 0;
    uint64 high = shared->ticks - oldest;
    if (high > 0 && kept(high - 1)->wal_lsn <= lsn) {
        return kept(high - 1);
    }
    while (low < high) {
        const uint64 middle = low + (high - low) / 2;
        if (kept(middle)->wal_lsn <= lsn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? nullptr : kept(low - 1);
}

uint32 next_xid_at(XLogRecPtr lsn) {
    const Tick *const tick = newest_until(lsn);
    return tick == nullptr ? 0 : tick->next_xid;
}

// When WAL last ended no more than a negligible amount behind an LSN; 0 if that is not kept.
static int64 last_at(uint64 lsn) {
    const Tick *const tick = newest_until(lsn + kNegligibleBytes);
    return tick == nullptr ? 0 : tick->at;
}

void find_times(Observation &slot) {
    slot.at_restart = last_at(slot.restart_lsn);
    slot.at_confirmed = slot.confirmed_lsn == 0 ? slot.at_restart : last_at(slot.confirmed_lsn);
}

Flow flow_of(int slot) {
    Flow flow{shared->wal, -1, -1, shared->peak_bytes};
    if (shared->ticks == 0) {
        flow.wal = WalRate{-1, false};
        return flow;
    }
    const uint64 last = shared->ticks - 1;
    const uint64 window = last >= kRateTicks ? last - kRateTicks : 0;
    const SlotEntry &entry = entries[slot];
    if (!entry.used || entry.first_tick > last) {
        return flow;
    }
    const auto at = [](uint64 tick) -> const Tick & { return ticks[tick % shared->history]; };
    const uint64 first = first_kept(Max(entry.first_tick, window));
    flow.confirmed_bytes_per_s = per_second(sample_at(slot, first).confirmed_lsn, sample_at(slot, last).confirmed_lsn,
                                            at(last).at - at(first).at);
    const uint64 early = first_kept(Max(entry.first_tick, last >= kGrowthTicks ? last - kGrowthTicks : 0));
    const int64 time = at(last).at - at(early).at;
    if (time >= kGrowthTime) {
        const double wal = per_second(at(early).wal_lsn, at(last).wal_lsn, time);
        const double restart = per_second(sample_at(slot, early).restart_lsn, sample_at(slot, last).restart_lsn, time);
        flow.growth_bytes_per_s = wal < 0 || restart < 0 || wal < restart ? -1 : wal - restart;
    }
    return flow;
}

}  // namespace cdc::guard

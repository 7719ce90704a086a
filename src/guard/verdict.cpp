// The rules, in the order in which they are asked.
#include "verdict.hpp"

#include <initializer_list>

namespace cdc::guard {

namespace {

// A level is lowered only when the slot is this far below its threshold.
constexpr int kHysteresisPercent = 5;
constexpr double kHysteresisTime = 1.25;
// A time further away than this is no prediction.
constexpr double kFarthest = 10.0 * 365 * 86400;

struct Judge {
    const Observation &slot;
    const Flow &flow;
    const Limits &limits;
    const Track *track;
    int64_t now;
    Verdict verdict;

    // Whether something lasts for the grace period already. Without a guard nobody knows: then it does.
    bool lasts(int64_t Track::*since) const {
        return track == nullptr || (track->*since != 0 && now - track->*since >= limits.grace);
    }

    void find_cap();
    void find_times();
    Cause consumer_cause() const;
    Cause transaction_cause() const;
    bool burst_exceeds_cap() const;
    void find_cause();
    Level level_at(int percent_less, double time_factor) const;
};

void consider(Verdict &verdict, CapSource source, int64_t cap, int64_t headroom) {
    if (verdict.cap_source == CapSource::kNone || headroom < verdict.headroom) {
        verdict.cap_source = source;
        verdict.cap = cap;
        verdict.headroom = headroom;
    }
}

void Judge::find_cap() {
    verdict.cap_source = CapSource::kNone;
    verdict.cap = verdict.percent = -1;
    if (slot.lost || slot.restart_lsn == 0) {
        return;
    }
    if (slot.has_server_cap) {
        consider(verdict, CapSource::kServer, slot.server_cap, slot.server_headroom);
    }
    if (slot.own_cap > 0) {
        consider(verdict, CapSource::kPolicy, slot.own_cap, slot.own_cap - verdict.retained);
        verdict.at_own_cap = verdict.retained >= slot.own_cap;
    }
    if (slot.disk_free >= 0) {
        consider(verdict, CapSource::kDisk, verdict.retained + slot.disk_free, slot.disk_free);
    }
    if (verdict.cap_source != CapSource::kNone) {
        const double room = verdict.headroom > 0 ? static_cast<double>(verdict.headroom) : 0;
        const auto used = static_cast<double>(verdict.retained);
        verdict.percent = room + used > 0 ? static_cast<int>(100 * used / (room + used)) : 100;
    }
}

int64_t time_until(int64_t bytes, double bytes_per_s) {
    if (bytes <= 0) {
        return 0;
    }
    const double seconds = static_cast<double>(bytes) / bytes_per_s;
    return seconds < kFarthest ? static_cast<int64_t>(seconds * 1e6) : -1;
}

void Judge::find_times() {
    verdict.time_to_cap = verdict.time_to_full = -1;
    if (slot.lost || slot.restart_lsn == 0 || !flow.wal.steady) {
        return;
    }
    // What stands still grows as fast as WAL comes. restart_lsn moves by jumps, many seconds apart even if all is well,
    // so growth of what moves shows only over minutes, and a small part of the WAL's rate is noise.
    double growth = flow.wal.bytes_per_s;
    if (slot.active && !(track != nullptr && lasts(&Track::restart_moved_at))) {
        growth = flow.growth_bytes_per_s;
        if (growth < 0.1 * flow.wal.bytes_per_s) {
            return;
        }
    }
    if (growth < 1) {
        return;
    }
    if (verdict.cap_source != CapSource::kNone) {
        verdict.time_to_cap = time_until(verdict.headroom, growth);
    }
    if (slot.disk_free >= 0) {
        verdict.time_to_full = time_until(slot.disk_free, growth);
    }
}

bool Judge::burst_exceeds_cap() const {
    return verdict.cap_source != CapSource::kNone && flow.peak_bytes >= verdict.cap;
}

// What is wrong with whoever reads the slot.
Cause Judge::consumer_cause() const {
    const bool lags = verdict.unconfirmed > kNegligibleBytes;
    if (!slot.active) {
        // A moment without a consumer that has left nothing unread is none of anybody's business.
        return !slot.synced && (lags || lasts(&Track::inactive_at)) ? Cause::kConsumerDown : Cause::kNone;
    }
    if (!lags) {
        return Cause::kNone;
    }
    if (burst_exceeds_cap() && track != nullptr && !lasts(&Track::confirmed_moved_at)) {
        return Cause::kCapTooSmall;  // the consumer moves; what came at once is too much
    }
    if (!lasts(&Track::lagging_at)) {
        return Cause::kNone;
    }
    const bool all_sent = slot.walsender && slot.wal_lsn <= slot.sent_lsn + static_cast<uint64_t>(kNegligibleBytes);
    const int64_t base = track != nullptr ? track->txns_at_move : 0;
    // Everything was sent, and nothing of it was for this client: it waits for an event to confirm.
    const bool idle = slot.logical && all_sent && !verdict.stuck && slot.decoded_txns >= 0 && slot.decoded_txns == base;
    if (!idle) {
        return Cause::kConsumerSlow;
    }
    // A walsender reports late what it has decoded: of one that just began, nobody knows.
    return lasts(&Track::active_at) ? Cause::kIdleDatabase : Cause::kNone;
}

// Whether a transaction holds back what the consumer has confirmed. One that has an id but wrote nothing does not:
// restart_lsn moves on in spite of it. That moves only with a record of running transactions, so wait; and count from
// the WAL's time, which may have stood still as long as restart_lsn did.
Cause Judge::transaction_cause() const {
    const int64_t held = verdict.retained - verdict.unconfirmed;
    if (!slot.logical || slot.pin_xid == 0 || held <= kNegligibleBytes || !lasts(&Track::pinned_at) ||
        !lasts(&Track::restart_moved_at) || (slot.at_restart != 0 && now - slot.at_restart < limits.grace)) {
        return Cause::kNone;
    }
    return slot.pin_prepared ? Cause::kPreparedTransaction : Cause::kLongTransaction;
}

void Judge::find_cause() {
    verdict.also = Cause::kNone;
    if (slot.lost) {
        verdict.cause = Cause::kSlotLost;
        return;
    }
    if (slot.restart_lsn == 0) {
        verdict.cause = Cause::kNone;
        return;
    }
    const Cause consumer = consumer_cause();
    const Cause transaction = transaction_cause();
    const bool mostly_held = verdict.retained - verdict.unconfirmed > verdict.unconfirmed;
    if (transaction != Cause::kNone && (consumer == Cause::kNone || mostly_held)) {
        verdict.cause = transaction;
        verdict.also = consumer;
    } else if (consumer != Cause::kNone) {
        verdict.cause = consumer;
        verdict.also = transaction;
    } else if (burst_exceeds_cap() && slot.active) {
        verdict.cause = Cause::kCapTooSmall;
    } else if (slot.logical && ((track != nullptr && slot.pin_xid != 0 && lasts(&Track::pinned_at)) ||
                                (limits.catalog_age > 0 && slot.catalog_age >= limits.catalog_age))) {
        verdict.cause = Cause::kCatalogBloat;
    } else {
        verdict.cause = Cause::kNone;
    }
}

Level Judge::level_at(int percent_less, double time_factor) const {
    if (slot.lost) {
        return Level::kLost;
    }
    Level level = Level::kOk;
    const auto raise = [&](Level to) { level = to > level ? to : level; };
    // Seconds that a consumer takes to restart are no emergency, however fast WAL comes meanwhile.
    const bool stands = track != nullptr && lasts(&Track::restart_moved_at);
    for (const Level candidate : {Level::kNotice, Level::kWarning, Level::kCritical}) {
        const int threshold = limits.percent[static_cast<int>(candidate)];
        if (threshold > 0 && verdict.percent >= 0 && verdict.percent >= threshold - percent_less) {
            raise(candidate);
        }
        const auto limit = static_cast<double>(limits.time_left.limit[static_cast<int>(candidate)]);
        if (stands && verdict.time_to_cap >= 0 && static_cast<double>(verdict.time_to_cap) < limit * time_factor) {
            raise(candidate);
        }
    }
    if (verdict.at_own_cap) {
        raise(Level::kCritical);
    }
    const bool forgotten = track != nullptr && track->inactive_at != 0 && !slot.synced && !slot.temporary &&
                           limits.inactive_time > 0 && now - track->inactive_at >= limits.inactive_time &&
                           now - track->confirmed_moved_at >= limits.inactive_time;
    const bool bloat = limits.catalog_age > 0 && slot.logical && slot.catalog_age >= limits.catalog_age;
    if (forgotten || bloat || verdict.cause == Cause::kCapTooSmall) {
        raise(Level::kNotice);
    }
    return level;
}

}  // namespace

bool blames_transaction(const Verdict &verdict) {
    for (const Cause cause : {verdict.cause, verdict.also}) {
        if (cause == Cause::kLongTransaction || cause == Cause::kPreparedTransaction || cause == Cause::kCatalogBloat) {
            return true;
        }
    }
    return false;
}

Verdict judge(const Observation &slot, const Flow &flow, const Limits &limits, const Track *track, int64_t now) {
    Judge judge{slot, flow, limits, track, now, Verdict{}};
    judge.verdict.retained = slot.lost ? 0 : retained_bytes(slot);
    judge.verdict.unconfirmed = slot.lost ? 0 : unconfirmed_bytes(slot);
    // A transaction is sent when its commit has been read: while a client does not take it, the walsender stands there,
    // however near to the end of WAL. A single sample may have come between a record and its walsender.
    judge.verdict.stuck = track != nullptr && track->stuck_at != 0 && track->stuck_at != now;
    judge.find_cap();
    judge.find_times();
    judge.find_cause();
    const Level level = judge.level_at(0, 1);
    const bool raised = track != nullptr && track->level != Level::kOk;
    const Level relaxed = raised ? judge.level_at(kHysteresisPercent, kHysteresisTime) : level;
    judge.verdict.level = level;
    judge.verdict.relaxed = relaxed;
    // Lower than it was: only well below the threshold, and only when that has lasted. A slot that was lost and is not
    // any more is another slot.
    if (track != nullptr && level < track->level && track->level != Level::kLost) {
        const bool calm = relaxed < track->level && track->calmer_at != 0 && now - track->calmer_at >= limits.grace;
        judge.verdict.level = calm ? relaxed : track->level;
    }
    return judge.verdict;
}

bool settle(Track &track, const Verdict &verdict, int64_t now) {
    const bool changed = verdict.level != track.level;
    if (changed) {
        track.calmer_at = 0;
        track.level = verdict.level;
    } else if (verdict.level == Level::kOk || verdict.level == Level::kLost || verdict.relaxed >= track.level) {
        track.calmer_at = 0;
    } else if (track.calmer_at == 0) {
        track.calmer_at = now;
    }
    return changed;
}

}  // namespace cdc::guard

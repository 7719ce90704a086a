// Moments at which something began or moved.
#include "observation.hpp"

namespace cdc::guard {

namespace {

int64_t distance(uint64_t from, uint64_t to) {
    return to > from ? static_cast<int64_t>(to - from) : 0;
}

}  // namespace

int64_t retained_bytes(const Observation &slot) {
    return slot.restart_lsn == 0 ? 0 : distance(slot.restart_lsn, slot.wal_lsn);
}

int64_t unconfirmed_bytes(const Observation &slot) {
    if (slot.confirmed_lsn == 0) {
        return slot.logical ? 0 : retained_bytes(slot);
    }
    return distance(slot.confirmed_lsn, slot.wal_lsn);
}

void remember(Track &track, const Observation &slot, int64_t now, bool fresh) {
    if (fresh) {
        track = Track{};
        track.restart_moved_at = track.confirmed_moved_at = now;
        track.txns_at_move = slot.decoded_txns;
    }
    if (track.restart_lsn != slot.restart_lsn) {
        track.restart_lsn = slot.restart_lsn;
        track.restart_moved_at = now;
    }
    if (track.confirmed_lsn != slot.confirmed_lsn) {
        track.confirmed_lsn = slot.confirmed_lsn;
        track.confirmed_moved_at = now;
        track.txns_at_move = slot.decoded_txns;
    } else if (slot.decoded_txns >= 0 && (track.txns_at_move < 0 || slot.decoded_txns < track.txns_at_move)) {
        track.txns_at_move = slot.decoded_txns;  // known only now, or statistics were reset
    }
    int64_t &since = slot.active ? track.active_at : track.inactive_at;
    (slot.active ? track.inactive_at : track.active_at) = 0;
    if (since == 0) {
        since = now;
    }
    if (unconfirmed_bytes(slot) <= kNegligibleBytes) {
        track.lagging_at = 0;
    } else if (track.lagging_at == 0) {
        track.lagging_at = now;
    }
    // A consumer that confirms now and then is always behind while WAL comes, but never for long.
    if (track.lagging_at != 0 && slot.at_confirmed > track.lagging_at) {
        track.lagging_at = slot.at_confirmed;
    }
    if (!slot.walsender || slot.sent_lsn != track.sent_lsn || slot.sent_lsn >= slot.wal_lsn) {
        track.sent_lsn = slot.sent_lsn;
        track.stuck_at = 0;
    } else if (track.stuck_at == 0) {
        track.stuck_at = now;
    }
    if (track.pin_xid != slot.pin_xid) {
        track.pin_xid = slot.pin_xid;
        track.pinned_at = now;
    }
}

}  // namespace cdc::guard

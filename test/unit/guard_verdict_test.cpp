// The lag policy: levels with hysteresis, causes, and when a time can be told.
#include "guard/verdict.hpp"

#include <gtest/gtest.h>

#include "guard/quantity.hpp"

using namespace cdc::guard;

namespace {

constexpr int64_t kMegabyte = 1 << 20;
constexpr int64_t kSecond = kMicros;
constexpr int64_t kGrace = 30 * kSecond;

Limits limits() {
    Limits made{};
    made.percent[1] = 50;
    made.percent[2] = 70;
    made.percent[3] = 85;
    made.grace = kGrace;
    made.inactive_time = 1800 * kSecond;
    made.catalog_age = 100000000;
    return made;
}

// A slot at which all is well: a consumer that has confirmed everything, 100 MB of cap.
Observation healthy() {
    Observation slot;
    slot.wal_lsn = 10000 * kMegabyte;
    slot.restart_lsn = slot.confirmed_lsn = slot.sent_lsn = slot.wal_lsn;
    slot.logical = slot.active = slot.walsender = true;
    slot.has_server_cap = true;
    slot.server_cap = 100 * kMegabyte;
    slot.server_headroom = 100 * kMegabyte;
    slot.disk_free = 100000 * kMegabyte;
    return slot;
}

// So many megabytes retained, so many of them not confirmed.
Observation lagging(int64_t retained, int64_t unconfirmed) {
    Observation slot = healthy();
    slot.restart_lsn -= static_cast<uint64_t>(retained * kMegabyte);
    slot.confirmed_lsn -= static_cast<uint64_t>(unconfirmed * kMegabyte);
    slot.server_headroom -= retained * kMegabyte;
    return slot;
}

Flow no_flow() {
    return Flow{{-1, false}, -1, -1, 0};
}

Flow steady_flow(double megabytes_per_s) {
    return Flow{{megabytes_per_s * kMegabyte, true}, 0, -1, 0};
}

// What the guard remembers of a slot that has been as it is now for `age`.
struct Watched {
    Track track{};
    int64_t now = 1000 * kSecond;

    explicit Watched(const Observation &slot, int64_t age = 3600 * kSecond) {
        remember(track, slot, now, true);
        now += age;
        remember(track, slot, now, false);
    }

    Verdict judge(const Observation &slot, const Flow &flow = no_flow()) const {
        return cdc::guard::judge(slot, flow, limits(), &track, now);
    }

    // A sample: the level behind it.
    Level sample(const Observation &slot, int64_t later = kSecond, const Flow &flow = no_flow()) {
        now += later;
        remember(track, slot, now, false);
        settle(track, judge(slot, flow), now);
        return track.level;
    }
};

Verdict judge_watched(const Observation &slot, int64_t age = 3600 * kSecond, const Flow &flow = no_flow()) {
    return Watched(slot, age).judge(slot, flow);
}

// --- causes
// -----------------------------------------------------------------------------------------------------------

TEST(GuardCause, NothingIsWrongWithAHealthySlot) {
    const Verdict verdict = judge_watched(healthy());
    EXPECT_EQ(verdict.cause, Cause::kNone);
    EXPECT_EQ(verdict.level, Level::kOk);
}

TEST(GuardCause, ASlotWithoutAReaderIsDownAtOnceIfItLags) {
    Observation slot = lagging(5, 5);
    slot.active = slot.walsender = false;
    EXPECT_EQ(judge_watched(slot, 0).cause, Cause::kConsumerDown);
}

TEST(GuardCause, ASlotWithoutAReaderAndWithoutLagIsDownAfterTheGrace) {
    Observation slot = healthy();
    slot.active = slot.walsender = false;
    EXPECT_EQ(judge_watched(slot, kGrace - kSecond).cause, Cause::kNone);
    EXPECT_EQ(judge_watched(slot, kGrace).cause, Cause::kConsumerDown);
}

TEST(GuardCause, ASyncedSlotHasNoConsumerToMiss) {
    Observation slot = lagging(5, 5);
    slot.active = slot.walsender = false;
    slot.synced = true;
    EXPECT_EQ(judge_watched(slot).cause, Cause::kNone);
}

TEST(GuardCause, AConsumerThatTakesNothingIsSlowAfterTheGrace) {
    Observation slot = lagging(5, 5);
    slot.sent_lsn -= 4 * kMegabyte;
    slot.decoded_txns = 0;
    EXPECT_EQ(judge_watched(slot, kGrace - kSecond).cause, Cause::kNone);
    EXPECT_EQ(judge_watched(slot, kGrace).cause, Cause::kConsumerSlow);
}

TEST(GuardCause, AConsumerThatConfirmsNowAndThenIsBehindButNotSlow) {
    Observation slot = lagging(5, 5);
    Watched watched(slot);
    slot.at_confirmed = watched.now - kGrace / 2;
    watched.sample(slot);
    EXPECT_EQ(watched.judge(slot).cause, Cause::kNone);
    slot.at_confirmed -= kGrace;
    EXPECT_EQ(judge_watched(slot).cause, Cause::kConsumerSlow);
}

TEST(GuardCause, ATransactionIsNotBlamedForABurstBehindSilence) {
    Observation slot = lagging(6, 0);
    slot.pin_xid = 747;
    Watched watched(slot);
    slot.at_restart = watched.now - kGrace / 2;
    EXPECT_EQ(watched.judge(slot).cause, Cause::kCatalogBloat);
    slot.at_restart = watched.now - kGrace;
    EXPECT_EQ(watched.judge(slot).cause, Cause::kLongTransaction);
}

TEST(GuardCause, AConsumerThatConfirmsNothingOfWhatItGotIsSlow) {
    Observation slot = lagging(5, 5);
    slot.decoded_txns = 7;
    Watched watched(slot);
    slot.decoded_txns = 9;
    watched.sample(slot);
    EXPECT_EQ(watched.judge(slot).cause, Cause::kConsumerSlow);
}

TEST(GuardCause, AConsumerThatGotNothingToConfirmHasAnIdleDatabase) {
    Observation slot = lagging(5, 5);
    slot.decoded_txns = 7;
    EXPECT_EQ(judge_watched(slot).cause, Cause::kIdleDatabase);
}

TEST(GuardCause, AConsumerThatJustCameBackHasNoIdleDatabaseYet) {
    Observation slot = lagging(5, 5);
    slot.decoded_txns = 7;
    slot.active = slot.walsender = false;
    Watched watched(slot);
    slot.active = slot.walsender = true;
    watched.sample(slot);
    EXPECT_EQ(watched.judge(slot).cause, Cause::kNone);
    watched.sample(slot, kGrace);
    EXPECT_EQ(watched.judge(slot).cause, Cause::kIdleDatabase);
}

TEST(GuardCause, AConsumerThatIsStuckInATransactionHasNoIdleDatabase) {
    // The walsender stands at the commit record, the last one there is.
    Observation slot = lagging(5, 5);
    slot.decoded_txns = 7;
    slot.sent_lsn -= 40;
    Watched frozen(slot);
    frozen.sample(slot);
    const Verdict stuck = frozen.judge(slot);
    EXPECT_EQ(stuck.cause, Cause::kConsumerSlow);
    EXPECT_TRUE(stuck.stuck);
    // It had not come to the newest record yet when the sample was taken.
    Watched watched(lagging(5, 5));
    slot.sent_lsn = slot.wal_lsn;
    watched.sample(slot);
    slot.wal_lsn += 100;
    watched.sample(slot);
    EXPECT_EQ(watched.judge(slot).cause, Cause::kIdleDatabase);
    EXPECT_FALSE(watched.judge(slot).stuck);
}

TEST(GuardCause, WithoutStatisticsNoDatabaseIsCalledIdle) {
    const Observation slot = lagging(5, 5);
    EXPECT_EQ(judge_watched(slot).cause, Cause::kConsumerSlow);
}

TEST(GuardCause, ATransactionHoldsBackWhatIsConfirmed) {
    Observation slot = lagging(6, 0);
    slot.pin_xid = 747;
    slot.pin_pid = 99;
    const Verdict verdict = judge_watched(slot);
    EXPECT_EQ(verdict.cause, Cause::kLongTransaction);
    EXPECT_EQ(verdict.also, Cause::kNone);
    slot.pin_prepared = true;
    EXPECT_EQ(judge_watched(slot).cause, Cause::kPreparedTransaction);
}

TEST(GuardCause, ATransactionIsNotBlamedWithinTheGrace) {
    Observation slot = lagging(6, 0);
    slot.pin_xid = 747;
    EXPECT_EQ(judge_watched(slot, kGrace - kSecond).cause, Cause::kNone);
}

TEST(GuardCause, ATransactionThatWroteNothingIsNotBlamedForWhatMoves) {
    Observation slot = lagging(6, 0);
    slot.pin_xid = 747;
    Watched watched(slot);
    slot.restart_lsn += 2 * kMegabyte;
    watched.sample(slot);
    EXPECT_EQ(watched.judge(slot).cause, Cause::kCatalogBloat);
}

TEST(GuardCause, HeldWalWithoutATransactionBlamesNobody) {
    EXPECT_EQ(judge_watched(lagging(6, 0)).cause, Cause::kNone);
}

TEST(GuardCause, ATransactionWithoutWalOnlyBloatsTheCatalogs) {
    Observation slot = healthy();
    slot.pin_xid = 747;
    const Verdict verdict = judge_watched(slot);
    EXPECT_EQ(verdict.cause, Cause::kCatalogBloat);
    EXPECT_EQ(verdict.level, Level::kOk);
    EXPECT_EQ(judge_watched(slot, kGrace - kSecond).cause, Cause::kNone);
}

TEST(GuardCause, AnOldCatalogXminIsANotice) {
    Observation slot = healthy();
    slot.catalog_age = 100000000;
    const Verdict verdict = judge_watched(slot);
    EXPECT_EQ(verdict.cause, Cause::kCatalogBloat);
    EXPECT_EQ(verdict.level, Level::kNotice);
}

TEST(GuardCause, OfTwoCausesTheLargerPartComesFirst) {
    Observation slot = lagging(20, 5);
    slot.active = slot.walsender = false;
    slot.pin_xid = 747;
    Verdict verdict = judge_watched(slot);
    EXPECT_EQ(verdict.cause, Cause::kLongTransaction);
    EXPECT_EQ(verdict.also, Cause::kConsumerDown);

    slot.confirmed_lsn -= 10 * kMegabyte;
    verdict = judge_watched(slot);
    EXPECT_EQ(verdict.cause, Cause::kConsumerDown);
    EXPECT_EQ(verdict.also, Cause::kLongTransaction);
}

TEST(GuardCause, ABurstBeyondTheCapIsToldBeforehand) {
    Flow flow = no_flow();
    flow.peak_bytes = 100 * kMegabyte;
    const Verdict verdict = judge_watched(healthy(), 3600 * kSecond, flow);
    EXPECT_EQ(verdict.cause, Cause::kCapTooSmall);
    EXPECT_EQ(verdict.level, Level::kNotice);
    flow.peak_bytes = 100 * kMegabyte - 1;
    EXPECT_EQ(judge_watched(healthy(), 3600 * kSecond, flow).cause, Cause::kNone);
}

TEST(GuardCause, AConsumerThatMovesIsNotBlamedForABurst) {
    Flow flow = no_flow();
    flow.peak_bytes = 200 * kMegabyte;
    Observation slot = lagging(60, 60);
    Watched watched(slot, kSecond);
    EXPECT_EQ(watched.judge(slot, flow).cause, Cause::kCapTooSmall);
    watched.now += kGrace;
    EXPECT_EQ(watched.judge(slot, flow).cause, Cause::kConsumerSlow) << "it stands still";
}

TEST(GuardCause, ALostSlotIsLostWhateverElseThereIs) {
    Observation slot = lagging(20, 5);
    slot.lost = true;
    slot.active = false;
    slot.pin_xid = 747;
    const Verdict verdict = judge_watched(slot);
    EXPECT_EQ(verdict.cause, Cause::kSlotLost);
    EXPECT_EQ(verdict.level, Level::kLost);
    EXPECT_EQ(verdict.cap_source, CapSource::kNone);
}

TEST(GuardCause, ASlotThatNeverReservedWalRetainsNone) {
    Observation slot = healthy();
    slot.restart_lsn = slot.confirmed_lsn = 0;
    slot.active = slot.walsender = false;
    const Verdict verdict = judge_watched(slot);
    EXPECT_EQ(verdict.cause, Cause::kNone);
    EXPECT_EQ(verdict.retained, 0);
    EXPECT_EQ(verdict.percent, -1);
}

TEST(GuardCause, WithoutAGuardWhatTakesTimeToKnowIsTakenForGranted) {
    Observation slot = lagging(5, 5);
    slot.sent_lsn -= 5 * kMegabyte;
    EXPECT_EQ(judge(slot, no_flow(), limits(), nullptr, 0).cause, Cause::kConsumerSlow);
    slot.active = slot.walsender = false;
    EXPECT_EQ(judge(slot, no_flow(), limits(), nullptr, 0).cause, Cause::kConsumerDown);
}

// --- caps
// -------------------------------------------------------------------------------------------------------------

TEST(GuardCap, TheNearestLimitCounts) {
    Observation slot = lagging(40, 40);
    EXPECT_EQ(judge_watched(slot).cap_source, CapSource::kServer);
    EXPECT_EQ(judge_watched(slot).percent, 40);
    slot.own_cap = 50 * kMegabyte;
    EXPECT_EQ(judge_watched(slot).cap_source, CapSource::kPolicy);
    EXPECT_EQ(judge_watched(slot).percent, 80);
    slot.disk_free = 2 * kMegabyte;
    const Verdict verdict = judge_watched(slot);
    EXPECT_EQ(verdict.cap_source, CapSource::kDisk);
    EXPECT_EQ(verdict.headroom, 2 * kMegabyte);
    EXPECT_EQ(verdict.percent, 95);
}

TEST(GuardCap, WithoutAnyLimitThereIsNoLevel) {
    Observation slot = lagging(40, 40);
    slot.has_server_cap = false;
    slot.disk_free = -1;
    const Verdict verdict = judge_watched(slot);
    EXPECT_EQ(verdict.cap_source, CapSource::kNone);
    EXPECT_EQ(verdict.level, Level::kOk);
    EXPECT_EQ(verdict.time_to_cap, -1);
}

TEST(GuardCap, BeyondTheCapIsCriticalAndNotLost) {
    const Verdict verdict = judge_watched(lagging(130, 130));
    EXPECT_EQ(verdict.percent, 100);
    EXPECT_EQ(verdict.level, Level::kCritical);
}

TEST(GuardCap, APolicysCapIsCriticalAndDue) {
    Observation slot = lagging(40, 40);
    slot.own_cap = 40 * kMegabyte;
    const Verdict verdict = judge_watched(slot);
    EXPECT_TRUE(verdict.at_own_cap);
    EXPECT_EQ(verdict.level, Level::kCritical);
    slot.own_cap += 1;
    EXPECT_FALSE(judge_watched(slot).at_own_cap);
}

// --- levels
// -----------------------------------------------------------------------------------------------------------

TEST(GuardLevel, EachLevelBeginsAtItsShare) {
    const struct {
        int64_t retained;
        Level level;
    } steps[] = {{49, Level::kOk},      {50, Level::kNotice},   {69, Level::kNotice},   {70, Level::kWarning},
                 {84, Level::kWarning}, {85, Level::kCritical}, {100, Level::kCritical}};
    for (const auto &step : steps) {
        EXPECT_EQ(judge_watched(lagging(step.retained, step.retained)).level, step.level) << step.retained;
    }
}

TEST(GuardLevel, ALevelCanBeTurnedOff) {
    Limits without = limits();
    without.percent[3] = 0;
    const Observation slot = lagging(99, 99);
    const Watched watched(slot);
    EXPECT_EQ(judge(slot, no_flow(), without, &watched.track, watched.now).level, Level::kWarning);
}

TEST(GuardLevel, AForgottenSlotIsANotice) {
    Observation slot = healthy();
    slot.active = slot.walsender = false;
    EXPECT_EQ(judge_watched(slot, 1799 * kSecond).level, Level::kOk);
    EXPECT_EQ(judge_watched(slot, 1800 * kSecond).level, Level::kNotice);
    slot.temporary = true;
    EXPECT_EQ(judge_watched(slot, 1800 * kSecond).level, Level::kOk);
}

TEST(GuardLevel, ASlotThatIsPolledIsNotForgotten) {
    Observation slot = healthy();
    slot.active = slot.walsender = false;
    Watched watched(slot, 1799 * kSecond);
    slot.confirmed_lsn += 1;
    EXPECT_EQ(watched.sample(slot), Level::kOk);
}

TEST(GuardLevel, AnOscillationRoundAThresholdIsOneChange) {
    Watched watched(lagging(48, 48));
    int changes = 0;
    Level last = watched.track.level;
    for (int i = 0; i < 200; ++i) {
        const int64_t retained = i % 2 == 0 ? 51 : 48;
        const Level level = watched.sample(lagging(retained, retained));
        changes += level != last;
        last = level;
    }
    EXPECT_EQ(changes, 1);
    EXPECT_EQ(last, Level::kNotice);
}

TEST(GuardLevel, LargeSwingsAreBoundedByTheGrace) {
    Watched watched(lagging(10, 10));
    int changes = 0;
    Level last = watched.track.level;
    for (int i = 0; i < 600; ++i) {  // 600 seconds, a swing of 20 seconds
        const int64_t retained = i / 10 % 2 == 0 ? 90 : 10;
        const Level level = watched.sample(lagging(retained, retained));
        changes += level != last;
        last = level;
    }
    EXPECT_EQ(changes, 1);
}

TEST(GuardLevel, TheAllClearComesAfterTheGrace) {
    Watched watched(lagging(90, 90));
    ASSERT_EQ(watched.sample(lagging(90, 90)), Level::kCritical);
    EXPECT_EQ(watched.sample(lagging(5, 5)), Level::kCritical);
    EXPECT_EQ(watched.sample(lagging(5, 5), kGrace - kSecond), Level::kCritical);
    EXPECT_EQ(watched.sample(lagging(5, 5)), Level::kOk);
}

TEST(GuardLevel, ALevelFallsToTheOneThatHolds) {
    Watched watched(lagging(90, 90));
    ASSERT_EQ(watched.sample(lagging(90, 90)), Level::kCritical);
    watched.sample(lagging(60, 60));
    EXPECT_EQ(watched.sample(lagging(60, 60), kGrace), Level::kNotice);
}

TEST(GuardLevel, JustBelowAThresholdIsNotBelowIt) {
    Watched watched(lagging(71, 71));
    ASSERT_EQ(watched.sample(lagging(71, 71)), Level::kWarning);
    watched.sample(lagging(67, 67));
    EXPECT_EQ(watched.sample(lagging(67, 67), 10 * kGrace), Level::kWarning);
    watched.sample(lagging(63, 63));
    EXPECT_EQ(watched.sample(lagging(63, 63), kGrace), Level::kNotice);
}

TEST(GuardLevel, ASlotThatIsCreatedAgainIsNotLostAnyMore) {
    Observation slot = healthy();
    slot.lost = true;
    Watched watched(slot);
    ASSERT_EQ(watched.sample(slot), Level::kLost);
    EXPECT_EQ(watched.sample(healthy()), Level::kOk);
}

// --- times
// ------------------------------------------------------------------------------------------------------------

TEST(GuardTime, AStalledSlotGrowsAsFastAsTheWal) {
    Observation slot = lagging(40, 40);
    slot.active = slot.walsender = false;
    const Verdict verdict = judge_watched(slot, kSecond, steady_flow(2));
    EXPECT_EQ(verdict.time_to_cap, 30 * kSecond);
    EXPECT_EQ(verdict.time_to_full, 50000 * kSecond);
}

TEST(GuardTime, UnsteadyOrUnknownRatesPredictNothing) {
    Observation slot = lagging(40, 40);
    slot.active = slot.walsender = false;
    EXPECT_EQ(judge_watched(slot).time_to_cap, -1);
    Flow burst = steady_flow(2);
    burst.wal.steady = false;
    EXPECT_EQ(judge_watched(slot, kSecond, burst).time_to_cap, -1);
    EXPECT_EQ(judge_watched(slot, kSecond, steady_flow(0)).time_to_cap, -1);
}

TEST(GuardTime, BeyondTheCapNoTimeIsLeft) {
    Observation slot = lagging(120, 120);
    slot.active = slot.walsender = false;
    EXPECT_EQ(judge_watched(slot, kSecond, steady_flow(2)).time_to_cap, 0);
}

TEST(GuardTime, ASlotThatKeepsUpHasNone) {
    Watched watched(healthy(), kSecond);
    Flow flow = steady_flow(2);
    flow.growth_bytes_per_s = 0.05 * 2 * kMegabyte;
    EXPECT_EQ(watched.judge(healthy(), flow).time_to_cap, -1);
}

TEST(GuardTime, ASlotThatFallsBehindSlowlyHasItsOwnRate) {
    const Observation slot = lagging(40, 40);
    Watched watched(slot, kSecond);
    Flow flow = steady_flow(2);
    flow.growth_bytes_per_s = 1 * kMegabyte;
    EXPECT_EQ(watched.judge(slot, flow).time_to_cap, 60 * kSecond);
}

TEST(GuardTime, TheTimeThatIsLeftMakesALevelOnceTheSlotStands) {
    Limits with_time = limits();
    with_time.time_left.limit[1] = 3600 * kSecond;
    with_time.time_left.limit[3] = 60 * kSecond;
    Observation slot = lagging(10, 10);
    slot.active = slot.walsender = false;
    const Watched fresh(slot, kSecond);
    EXPECT_EQ(judge(slot, steady_flow(2), with_time, &fresh.track, fresh.now).level, Level::kOk);
    const Watched stands(slot);
    EXPECT_EQ(judge(slot, steady_flow(2), with_time, &stands.track, stands.now).level, Level::kCritical);
    EXPECT_EQ(judge(slot, steady_flow(1), with_time, &stands.track, stands.now).level, Level::kNotice);
}

TEST(GuardTime, WhatLiesYearsAheadIsNoPrediction) {
    Observation slot = healthy();
    slot.active = slot.walsender = false;
    slot.has_server_cap = false;
    slot.disk_free = INT64_C(1) << 60;
    EXPECT_EQ(judge_watched(slot, kSecond, steady_flow(1)).time_to_cap, -1);
}

}  // namespace

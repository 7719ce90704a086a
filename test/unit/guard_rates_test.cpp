// The WAL's rate over a ring of samples, and when it predicts anything.
#include "guard/rates.hpp"

#include <gtest/gtest.h>

#include <vector>

using namespace cdc::guard;

namespace {

// A ring of `size` with a sample each second at these LSNs.
struct Ring {
    std::vector<Tick> ticks;
    uint64_t last;

    Ring(size_t size, const std::vector<uint64_t> &lsns) : ticks(size), last(lsns.size() - 1) {
        for (size_t i = 0; i < lsns.size(); ++i) {
            ticks[i % size] = Tick{static_cast<int64_t>(i + 1) * 1000000, 0, lsns[i], 0, 0};
        }
    }

    WalRate rate(uint64_t first) const { return wal_rate(ticks.data(), ticks.size(), first, last); }
};

TEST(GuardRate, OneSampleHasNone) {
    EXPECT_LT(Ring(8, {100}).rate(0).bytes_per_s, 0);
}

TEST(GuardRate, AConstantRateIsSteady) {
    const WalRate rate = Ring(8, {1000, 1100, 1200, 1300}).rate(0);
    EXPECT_DOUBLE_EQ(rate.bytes_per_s, 100);
    EXPECT_TRUE(rate.steady);
}

TEST(GuardRate, TwoIntervalsAreTooFew) {
    EXPECT_FALSE(Ring(8, {1000, 1100, 1200}).rate(0).steady);
}

TEST(GuardRate, SilenceIsZeroAndNotSteady) {
    const WalRate rate = Ring(8, {1000, 1000, 1000, 1000, 1000}).rate(0);
    EXPECT_DOUBLE_EQ(rate.bytes_per_s, 0);
    EXPECT_FALSE(rate.steady);
}

TEST(GuardRate, ABurstIsNotSteady) {
    EXPECT_FALSE(Ring(8, {1000, 1010, 1020, 9000, 9010, 9020}).rate(0).steady);
}

TEST(GuardRate, ABurstThatASampleFellIntoIsNotSteady) {
    EXPECT_FALSE(Ring(8, {1000, 1010, 1020, 5000, 9000, 9010, 9020}).rate(0).steady);
}

TEST(GuardRate, BurstsThatComeBackAreSteady) {
    EXPECT_TRUE(Ring(16, {0, 0, 5000, 5000, 5000, 10000, 10000, 10000, 15000, 15000}).rate(0).steady);
}

TEST(GuardRate, TheRingWraps) {
    const WalRate rate = Ring(4, {1, 2, 3, 1000, 1100, 1200, 1300}).rate(3);
    EXPECT_DOUBLE_EQ(rate.bytes_per_s, 100);
    EXPECT_TRUE(rate.steady);
}

TEST(GuardRate, WalThatGoesBackIsUnknown) {
    // A server that was restored from a backup.
    EXPECT_LT(Ring(8, {5000, 1000, 900, 800}).rate(0).bytes_per_s, 0);
}

}  // namespace

// Texts of alerts: what they name, and that they stay within their room.
#include "guard/message.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

using namespace cdc::guard;

namespace {

constexpr int64_t kMegabyte = 1 << 20;

Verdict verdict_of(Level level, Cause cause) {
    Verdict verdict{};
    verdict.level = level;
    verdict.cause = cause;
    verdict.cap_source = CapSource::kServer;
    verdict.cap = 100 * kMegabyte;
    verdict.headroom = 48 * kMegabyte;
    verdict.percent = 52;
    verdict.retained = 52 * kMegabyte;
    verdict.unconfirmed = 51 * kMegabyte;
    verdict.time_to_cap = 190 * 1000000;
    verdict.time_to_full = -1;
    return verdict;
}

const Names kNames{"orders", "shop"};
const Flow kFlow{{-1, false}, -1, -1, 7 * kMegabyte};

std::string advice(const Observation &slot, const Verdict &verdict) {
    char text[512];
    put_advice(text, sizeof text, kNames, slot, verdict, kFlow);
    return text;
}

std::string message(const Verdict &verdict, Level previous) {
    char text[256];
    put_message(text, sizeof text, kNames, verdict, previous);
    return text;
}

std::string detail(const Observation &slot, const Verdict &verdict) {
    char text[384];
    put_detail(text, sizeof text, kNames, slot, verdict, kFlow);
    return text;
}

TEST(GuardMessage, SaysTheLevelAndTheSize) {
    EXPECT_EQ(message(verdict_of(Level::kNotice, Cause::kConsumerDown), Level::kOk),
              "replication slot \"orders\" is at level notice: it retains 52.0 MB of WAL, 52 % of its cap");
    EXPECT_EQ(
        message(verdict_of(Level::kNotice, Cause::kConsumerDown), Level::kCritical),
        "replication slot \"orders\" is down from level critical to notice: it retains 52.0 MB of WAL, 52 % of its "
        "cap");
    EXPECT_EQ(message(verdict_of(Level::kOk, Cause::kNone), Level::kNotice),
              "replication slot \"orders\" is out of danger: it retains 52.0 MB of WAL, 52 % of its cap");
    EXPECT_EQ(message(verdict_of(Level::kLost, Cause::kSlotLost), Level::kCritical),
              "replication slot \"orders\" is lost");
}

TEST(GuardMessage, SaysCauseCapAndTime) {
    EXPECT_EQ(
        detail({}, verdict_of(Level::kNotice, Cause::kConsumerDown)),
        "Cause: consumer_down. 51.0 MB of the WAL is not confirmed. Of its cap of 100 MB (max_slot_wal_keep_size) "
        "48.0 MB is left, enough for about 3 min.");
    Verdict unknown = verdict_of(Level::kNotice, Cause::kConsumerDown);
    unknown.time_to_cap = -1;
    unknown.cap_source = CapSource::kDisk;
    EXPECT_EQ(detail({}, unknown),
              "Cause: consumer_down. 51.0 MB of the WAL is not confirmed. The disk has 48.0 MB left.");
}

TEST(GuardMessage, NamesTheCulprit) {
    Observation slot;
    slot.pin_xid = 747;
    slot.pin_pid = 4711;
    const Verdict verdict = verdict_of(Level::kNotice, Cause::kLongTransaction);
    EXPECT_EQ(advice(slot, verdict),
              "End transaction 747 of process 4711 in database \"shop\": SELECT pg_terminate_backend(4711);");
    EXPECT_NE(detail(slot, verdict).find("(transaction 747 of process 4711 in database \"shop\")"), std::string::npos);
    // Whoever holds the oldest transaction is not named for what somebody else did.
    EXPECT_EQ(detail(slot, verdict_of(Level::kNotice, Cause::kConsumerDown)).find("4711"), std::string::npos);
    slot.pin_prepared = true;
    slot.pin_pid = 0;
    EXPECT_EQ(advice(slot, verdict_of(Level::kNotice, Cause::kPreparedTransaction)),
              "End prepared transaction 747 in database \"shop\": COMMIT PREPARED or ROLLBACK PREPARED the gid that "
              "pg_prepared_xacts shows for it.");
}

TEST(GuardMessage, HasAdviceForEachCause) {
    for (int i = 0; i < kCauses; ++i) {
        const Verdict verdict = verdict_of(Level::kNotice, static_cast<Cause>(i));
        EXPECT_GT(advice({}, verdict).size(), 10U) << i;
    }
    Verdict two = verdict_of(Level::kNotice, Cause::kConsumerDown);
    two.also = Cause::kLongTransaction;
    EXPECT_NE(advice({}, two).find(" Then: "), std::string::npos);
}

TEST(GuardMessage, IsCutAtItsRoom) {
    const std::string longest(63, 'x');
    const Names names{longest.c_str(), longest.c_str()};
    for (size_t size = 1; size < 300; ++size) {
        std::string room(size + 1, '#');
        Verdict verdict = verdict_of(Level::kNotice, Cause::kCatalogBloat);
        verdict.also = Cause::kConsumerDown;
        Observation slot;
        slot.pin_xid = 4294967295U;
        slot.pin_pid = 2147483647;
        put_advice(room.data(), size, names, slot, verdict, kFlow);
        EXPECT_LT(strlen(room.data()), size);
        EXPECT_EQ(room[size], '#');
        put_message(room.data(), size, names, verdict, Level::kOk);
        EXPECT_EQ(room[size], '#');
        put_detail(room.data(), size, names, slot, verdict, kFlow);
        EXPECT_EQ(room[size], '#');
    }
}

}  // namespace

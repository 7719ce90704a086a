// The queue between the thread that receives and the one that applies.
#include "consumer/source/message_queue.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>

namespace cdc::consumer {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Payloads are views: here, of literals and of strings that outlive the queue.
Message message(std::string_view payload, Lsn lsn = 1) {
    Message made;
    made.lsn = lsn;
    made.payload = payload;
    return made;
}

bool push(MessageQueue &queue, std::string_view payload, milliseconds wait = milliseconds(0)) {
    Message made = message(payload);
    return queue.push(made, Clock::now() + wait);
}

TEST(MessageQueue, GivesBackInOrder) {
    MessageQueue queue(1000000);
    EXPECT_TRUE(queue.empty());
    ASSERT_TRUE(push(queue, "a"));
    ASSERT_TRUE(push(queue, "b"));
    EXPECT_FALSE(queue.empty());
    EXPECT_EQ(queue.pop(Clock::now())->payload, "a");
    EXPECT_EQ(queue.pop(Clock::now())->payload, "b");
    EXPECT_FALSE(queue.pop(Clock::now() + milliseconds(20)));
    EXPECT_TRUE(queue.empty());
}

TEST(MessageQueue, TakesOneMessageOfAnySizeAndThenNoMore) {
    MessageQueue queue(10);
    const std::string large(100, 'x');
    EXPECT_TRUE(push(queue, large));
    Message second = message("y", 7);
    EXPECT_FALSE(queue.push(second, Clock::now() + milliseconds(20)));
    EXPECT_EQ(second.lsn, 7u);
    EXPECT_EQ(second.payload, "y");
    EXPECT_EQ(queue.pop(Clock::now())->payload, large);
    EXPECT_TRUE(queue.push(second, Clock::now()));
}

TEST(MessageQueue, WaitsForRoom) {
    MessageQueue queue(10);
    ASSERT_TRUE(push(queue, "first"));
    std::thread consumer([&] {
        std::this_thread::sleep_for(milliseconds(30));
        EXPECT_EQ(queue.pop(Clock::now())->payload, "first");
    });
    const auto start = Clock::now();
    EXPECT_TRUE(push(queue, "second", milliseconds(60000)));
    EXPECT_LT(Clock::now() - start, milliseconds(30000));
    consumer.join();
}

TEST(MessageQueue, FailsBehindTheLastMessage) {
    MessageQueue queue(1000);
    ASSERT_TRUE(push(queue, "last"));
    queue.fail(std::make_exception_ptr(std::runtime_error("gone")));
    EXPECT_EQ(queue.pop(Clock::now())->payload, "last");
    EXPECT_THROW(queue.pop(Clock::now() + milliseconds(60000)), std::runtime_error);
    EXPECT_THROW(queue.pop(Clock::now()), std::runtime_error);
}

TEST(MessageQueue, WaitsForMuch) {
    MessageQueue queue(1 << 20);
    ASSERT_TRUE(push(queue, "little"));
    const auto start = Clock::now();
    queue.wait_for_much(start + milliseconds(50));
    EXPECT_GE(Clock::now() - start, milliseconds(50));

    const std::string large(100000, 'x');
    std::thread producer([&] {
        std::this_thread::sleep_for(milliseconds(30));
        EXPECT_TRUE(push(queue, large));
    });
    queue.wait_for_much(Clock::now() + milliseconds(60000));
    producer.join();
    EXPECT_EQ(queue.pop(Clock::now())->payload, "little");
    EXPECT_EQ(queue.pop(Clock::now())->payload, large);
}

TEST(MessageQueue, WaitsForNoMoreThanThereIsRoomFor) {
    MessageQueue queue(10);
    ASSERT_TRUE(push(queue, "first"));
    std::thread producer([&] { EXPECT_TRUE(push(queue, "second", milliseconds(60000))); });
    queue.wait_for_much(Clock::now() + milliseconds(60000));
    EXPECT_EQ(queue.pop(Clock::now())->payload, "first");
    producer.join();
    EXPECT_EQ(queue.pop(Clock::now())->payload, "second");
}

TEST(MessageQueue, WaitsForMuchOnlyUntilTheEnd) {
    MessageQueue queue(1000);
    queue.fail(std::make_exception_ptr(std::runtime_error("gone")));
    queue.wait_for_much(Clock::now() + milliseconds(60000));
    EXPECT_THROW(queue.pop(Clock::now()), std::runtime_error);
}

TEST(MessageQueue, LosesNothingBetweenTwoThreads) {
    constexpr Lsn kMessages = 20000;
    const std::string payload(300, 'x');
    MessageQueue queue(5000);
    std::thread producer([&] {
        for (Lsn lsn = 1; lsn <= kMessages; ++lsn) {
            Message made = message(std::string_view(payload).substr(0, lsn % 300), lsn);
            while (!queue.push(made, Clock::now() + milliseconds(5))) {
            }
        }
        queue.fail(std::make_exception_ptr(std::runtime_error("end")));
    });
    Lsn expected = 1;
    try {
        while (true) {
            const auto taken = queue.pop(Clock::now() + milliseconds(60000));
            ASSERT_TRUE(taken);
            ASSERT_EQ(taken->lsn, expected);
            ASSERT_EQ(taken->payload.size(), expected % 300);
            ++expected;
        }
    } catch (const std::runtime_error &) {
    }
    EXPECT_EQ(expected, kMessages + 1);
    producer.join();
}

}  // namespace
}  // namespace cdc::consumer

// Messages of the slot between the thread that receives and the one that applies, bounded by their bytes.
#pragma once

#include "../model/lsn.hpp"

#include <libpq-fe.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

namespace cdc::consumer {

struct Message {
    enum Kind {
        kData,       // payload: a batch
        kKeepalive,  // nothing before `lsn` is left to be sent, but for messages queued before this one
    };
    struct Free {
        void operator()(char *buffer) const { PQfreemem(buffer); }
    };
    Kind kind = kData;
    Lsn lsn = 0;                         // kData: the start of the WAL data
    std::unique_ptr<char, Free> buffer;  // libpq's, header included
    std::string_view payload;            // a part of it
};

class MessageQueue {
 public:
    explicit MessageQueue(size_t max_bytes) : max_bytes_(max_bytes) {}

    // Waits for room (one message always fits) until `deadline`; false if there is none yet. The message is moved from
    // only if it was taken.
    bool push(Message &message, std::chrono::steady_clock::time_point deadline);
    // Waits for a message until `deadline`. Throws what fail() was given, when all before it is taken.
    std::optional<Message> pop(std::chrono::steady_clock::time_point deadline);
    // The next one, if that takes neither waiting nor a lock.
    std::optional<Message> pop_at_hand();
    // Waits until `deadline` for much to be there, so that messages that come one by one do not wake the caller each.
    void wait_for_much(std::chrono::steady_clock::time_point deadline);
    // The stream has ended, because of this.
    void fail(std::exception_ptr why);
    // For the thread that takes messages.
    bool empty() const;

 private:
    const size_t max_bytes_;
    mutable std::mutex mutex_;
    std::condition_variable room_;    // waited for by push()
    std::condition_variable filled_;  // waited for by the others, until there are wanted_ bytes
    static constexpr size_t kAny = 1;
    size_t wanted_ = kAny;
    bool full_ = false;  // push() waits: there will not be more
    std::deque<Message> messages_;
    size_t bytes_ = 0;
    std::exception_ptr failure_;
    std::deque<Message> at_hand_;  // taken out together, without the mutex: for the thread that takes messages alone
};

}  // namespace cdc::consumer

// A deque under a mutex. The receiver fills the queue faster than it is emptied, so it mostly waits for room: it is
// woken when half of the queue is free instead of for each message.
#include "message_queue.hpp"

namespace cdc::consumer {

namespace {

constexpr size_t kMuch = size_t{64} << 10;

size_t size_of(const Message &message) {
    return message.payload.size() + sizeof(Message);
}

}  // namespace

bool MessageQueue::push(Message &message, std::chrono::steady_clock::time_point deadline) {
    const size_t size = size_of(message);
    bool wake = false;
    {
        std::unique_lock lock(mutex_);
        const auto has_room = [&] { return messages_.empty() || bytes_ + size <= max_bytes_; };
        if (!has_room()) {
            full_ = true;
            filled_.notify_one();
        }
        const bool room = room_.wait_until(lock, deadline, has_room);
        full_ = false;
        if (!room) {
            return false;
        }
        messages_.push_back(std::move(message));
        bytes_ += size;
        wake = bytes_ >= wanted_;
    }
    if (wake) {
        filled_.notify_one();
    }
    return true;
}

std::optional<Message> MessageQueue::pop(std::chrono::steady_clock::time_point deadline) {
    if (!at_hand_.empty()) {
        return pop_at_hand();
    }
    bool wake = false;
    {
        std::unique_lock lock(mutex_);
        if (!filled_.wait_until(lock, deadline, [&] { return !messages_.empty() || failure_; })) {
            return std::nullopt;
        }
        if (messages_.empty()) {
            std::rethrow_exception(failure_);
        }
        // Small ones in one go.
        size_t taken = 0;
        do {
            taken += size_of(messages_.front());
            at_hand_.push_back(std::move(messages_.front()));
            messages_.pop_front();
        } while (!messages_.empty() && taken + size_of(messages_.front()) <= kMuch);
        bytes_ -= taken;
        wake = messages_.empty() || bytes_ <= max_bytes_ / 2;
    }
    if (wake) {
        room_.notify_one();
    }
    return pop_at_hand();
}

std::optional<Message> MessageQueue::pop_at_hand() {
    if (at_hand_.empty()) {
        return std::nullopt;
    }
    std::optional<Message> message = std::move(at_hand_.front());
    at_hand_.pop_front();
    return message;
}

void MessageQueue::wait_for_much(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    wanted_ = kMuch;
    filled_.wait_until(lock, deadline, [&] { return bytes_ >= wanted_ || full_ || failure_; });
    wanted_ = kAny;
}

void MessageQueue::fail(std::exception_ptr why) {
    {
        const std::lock_guard lock(mutex_);
        failure_ = std::move(why);
    }
    filled_.notify_one();
}

bool MessageQueue::empty() const {
    if (!at_hand_.empty()) {
        return false;
    }
    const std::lock_guard lock(mutex_);
    return messages_.empty();
}

}  // namespace cdc::consumer

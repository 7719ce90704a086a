// A deque under a mutex. The receiver fills the queue faster than it is emptied, so it mostly waits for room: it is
// woken when half of the queue is free instead of for each message.
#include "message_queue.hpp"

namespace cdc::consumer {

namespace {

size_t size_of(const Message &message) {
    return message.payload.size() + sizeof(Message);
}

}  // namespace

bool MessageQueue::push(Message &message, std::chrono::steady_clock::time_point deadline) {
    const size_t size = size_of(message);
    {
        std::unique_lock lock(mutex_);
        const auto has_room = [&] { return messages_.empty() || bytes_ + size <= max_bytes_; };
        if (!changed_.wait_until(lock, deadline, has_room)) {
            return false;
        }
        messages_.push_back(std::move(message));
        bytes_ += size;
    }
    changed_.notify_all();
    return true;
}

std::optional<Message> MessageQueue::pop(std::chrono::steady_clock::time_point deadline) {
    std::optional<Message> message;
    bool wake = false;
    {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_until(lock, deadline, [&] { return !messages_.empty() || failure_; })) {
            return std::nullopt;
        }
        if (messages_.empty()) {
            std::rethrow_exception(failure_);
        }
        message = std::move(messages_.front());
        messages_.pop_front();
        bytes_ -= size_of(*message);
        wake = messages_.empty() || bytes_ <= max_bytes_ / 2;
    }
    if (wake) {
        changed_.notify_all();
    }
    return message;
}

void MessageQueue::fail(std::exception_ptr why) {
    {
        const std::lock_guard lock(mutex_);
        failure_ = std::move(why);
    }
    changed_.notify_all();
}

bool MessageQueue::empty() const {
    const std::lock_guard lock(mutex_);
    return messages_.empty();
}

}  // namespace cdc::consumer

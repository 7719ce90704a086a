// The replication connection, in a thread of its own: takes what the walsender sends, answers its keepalives whatever
// the rest of the program does, and confirms what the sink has made durable.
#pragma once

#include "message_queue.hpp"

#include "../model/lsn.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace cdc::consumer {

struct ReceiverOptions {
    std::string conninfo;
    std::string slot;
    Lsn start = 0;  // the sink's position
    std::vector<std::pair<std::string, std::string>> plugin_options;
    std::chrono::milliseconds status_interval{10000};
};

class Receiver {
 public:
    // Starts replication and the thread. Throws ConnectionLost, Failure (slot in use: says by which pid) or
    // ServerError (the server's refusal; a slot that is lost is one).
    Receiver(const ReceiverOptions &options, MessageQueue &queue);
    // Ends the thread and the connection, with a last confirmation.
    ~Receiver();

    // Everything before this is durable in the sink. Told to the server at the next status, soon.
    void confirm(Lsn lsn);
    // Asks the server for a keepalive now.
    void request_keepalive();
    // The end of WAL that the server named last.
    Lsn server_end() const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace cdc::consumer

// The panel's HTTP server. It answers from what the watcher saw last, changes nothing, and asks for no password.
#pragma once

#include "command_line.hpp"
#include "watcher.hpp"

#include <memory>

namespace cdc::panel {

class Server {
 public:
    // Listens from here on. Throws Failure if it cannot.
    Server(const Settings &settings, Watcher &watcher);
    ~Server();
    Server(const Server &) = delete;
    Server &operator=(const Server &) = delete;

    int port() const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace cdc::panel

// One consumer for a file: two that write to the same copy would each take the other's rows for its own.
#pragma once

#include "../model/failure.hpp"

#include <sys/file.h>

#include <cerrno>
#include <string>

namespace cdc::consumer {

// Holds until `fd` is closed, or the process ends in whatever way. `name`: of the sink, for the message. File systems
// that know no such locks are left without.
inline void lock_file(int fd, const std::string &name) {
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        throw Failure("another process feeds " + name, "Stop that one first: a sink takes one consumer at a time.");
    }
}

}  // namespace cdc::consumer

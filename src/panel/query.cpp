// Sending, and waiting for the answer no longer than until a deadline.
#include "query.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace cdc::panel {

using consumer::Connection;
using consumer::ConnectionLost;
using consumer::Result;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::chrono::seconds kGrace{1};  // for the server to say that its timeout was reached

void wait_for_input(const PGconn *connection, Clock::time_point deadline) {
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        pollfd descriptor{PQsocket(connection), POLLIN, 0};
        const int ready = left <= 0 ? 0 : poll(&descriptor, 1, static_cast<int>(left));
        if (ready == 0) {
            shutdown(descriptor.fd, SHUT_RDWR);  // whoever asks next must not wait for the same answer
            throw ConnectionLost("the server does not answer");
        }
        if (ready > 0 || errno != EINTR) {
            return;  // what is wrong with the socket, PQconsumeInput says
        }
    }
}

// As PQexec does: the last of several results, or the first error. All are taken, so that another query can follow.
Result answer(Connection &connection, int sent) {
    PGconn *const handle = connection.get();
    const auto deadline = Clock::now() + kTimeout + kGrace;
    if (sent == 0) {
        connection.fail(nullptr);
    }
    std::unique_ptr<PGresult, consumer::ResultDeleter> kept;
    for (;;) {
        while (PQisBusy(handle) != 0) {
            wait_for_input(handle, deadline);
            if (PQconsumeInput(handle) == 0) {
                connection.fail(nullptr);
            }
        }
        std::unique_ptr<PGresult, consumer::ResultDeleter> next(PQgetResult(handle));
        if (next == nullptr) {
            return connection.check(kept.release());
        }
        if (kept == nullptr || PQresultStatus(kept.get()) != PGRES_FATAL_ERROR) {
            kept = std::move(next);
        }
    }
}

}  // namespace

Result query(Connection &connection, const std::string &sql) {
    return answer(connection, PQsendQuery(connection.get(), sql.c_str()));
}

Result query(Connection &connection, const std::string &sql, const std::vector<std::string> &parameters) {
    std::vector<const char *> values(parameters.size());
    std::transform(parameters.begin(), parameters.end(), values.begin(),
                   [](const std::string &value) { return value.c_str(); });
    return answer(connection, PQsendQueryParams(connection.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                                                values.data(), nullptr, nullptr, 0));
}

}  // namespace cdc::panel

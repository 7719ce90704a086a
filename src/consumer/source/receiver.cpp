// A loop over one socket and one eventfd. Nothing in it blocks for longer than a moment, because the server ends the
// connection of a client that it has not heard of for wal_sender_timeout.
#include "receiver.hpp"

#include "../postgres/connection.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <thread>

namespace cdc::consumer {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::chrono::microseconds kQuick{100}, kGather{300};
constexpr int kManyQuickWaits = 8;  // more than the parts in which a large message comes
constexpr size_t kLargeMessage = 4096;
constexpr milliseconds kConfirmDelay{100};  // confirmations of this time are told in one
constexpr milliseconds kPushWait{50};       // for room in the queue, before looking at anything else
constexpr milliseconds kGoodbye{1500};      // for the server to let the slot go
constexpr milliseconds kSlotWait{5000};     // for the walsender of a consumer that just died
constexpr milliseconds kSlotRetry{200};

constexpr size_t kDataHeader = 1 + 8 + 8 + 8;     // 'w', start of the data, end of WAL, time
constexpr size_t kKeepaliveSize = 1 + 8 + 8 + 1;  // 'k', end of WAL, time, whether a reply is asked for

uint64_t read_big_endian(const char *at) {
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) {
        value = value << 8 | static_cast<unsigned char>(at[i]);
    }
    return value;
}

char *put_big_endian(char *at, uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) {
        *at++ = static_cast<char>(value >> shift);
    }
    return at;
}

// Microseconds since 2000-01-01 UTC.
int64_t server_time() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(now).count() - int64_t{946684800} * 1000000;
}

void raise_to(std::atomic<Lsn> &position, Lsn lsn) {
    Lsn known = position.load();
    while (known < lsn && !position.compare_exchange_weak(known, lsn)) {
    }
}

// The grammar of replication commands knows doubled quotes, and no escapes.
std::string quote_value(std::string_view text) {
    std::string quoted = "'";
    for (const char c : text) {
        quoted += c;
        if (c == '\'') {
            quoted += c;
        }
    }
    return quoted += '\'';
}

std::string start_command(const ReceiverOptions &options) {
    std::string sql =
        "START_REPLICATION SLOT " + quote_identifier(options.slot) + " LOGICAL " + lsn_text(options.start);
    const char *separator = " (";
    for (const auto &[name, value] : options.plugin_options) {
        sql += separator + quote_identifier(name) + ' ' + quote_value(value);
        separator = ", ";
    }
    return options.plugin_options.empty() ? sql : sql + ')';
}

// Waits for the walsender of a consumer that was just killed to notice it.
void start_replication(Connection &connection, const ReceiverOptions &options) {
    const std::string sql = start_command(options);
    const auto deadline = Clock::now() + kSlotWait;
    while (true) {
        try {
            connection.query(sql);
            return;
        } catch (const ServerError &error) {
            if (error.sqlstate() != "55006") {
                throw;
            }
        }
        if (Clock::now() >= deadline) {
            break;
        }
        std::this_thread::sleep_for(kSlotRetry);
    }
    const Result pid = connection.query("SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE slot_name = " +
                                        connection.quote_literal(options.slot));
    throw Failure("replication slot \"" + options.slot + "\" is in use" +
                      (pid.rows() == 1 && !pid.is_null(0, 0) ? " by process " + pid.text(0, 0) : ""),
                  "Another consumer reads it: stop that one, or give this one a slot of its own.");
}

class EventFd {
 public:
    EventFd() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        if (fd_ < 0) {
            throw std::system_error(errno, std::generic_category(), "eventfd");
        }
    }
    ~EventFd() { close(fd_); }
    EventFd(const EventFd &) = delete;
    EventFd &operator=(const EventFd &) = delete;

    // Can only fail where it is set more than enough.
    void set() const { eventfd_write(fd_, 1); }
    void clear() const {
        eventfd_t count;
        eventfd_read(fd_, &count);
    }
    int get() const { return fd_; }

 private:
    const int fd_;
};

}  // namespace

struct Receiver::State {
    State(const ReceiverOptions &options, MessageQueue &messages)
        : queue(messages),
          connection(options.conninfo, {"cdc_consumer", true}),
          interval(options.status_interval),
          confirmed(options.start),
          told(options.start),
          received(options.start) {
        const Result timeout =
            connection.query("SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'");
        const milliseconds limit(timeout.rows() == 1 ? std::atoll(timeout.text(0, 0).c_str()) : 0);
        if (limit.count() > 0) {
            interval = std::min(interval, limit / 3);
        }
        start_replication(connection, options);
        PQsetnonblocking(connection.get(), 1);
    }

    void run();
    void receive();
    void let_gather();
    void say_goodbye();
    void take(Message message, size_t size);
    void take_data(Message message);
    void take_keepalive(const Message &message);
    bool push(Message &message);
    [[noreturn]] void fail_at_end();
    void wait(short events, Clock::time_point deadline);
    void send_status_if_due();
    void send_status(bool ask);
    void flush();
    Clock::time_point next_status() const;

    MessageQueue &queue;
    Connection connection;
    milliseconds interval;
    EventFd wake;
    std::thread thread;

    // Between the threads.
    std::atomic<bool> stop{false};
    std::atomic<bool> ask_keepalive{false};
    std::atomic<Lsn> confirmed;
    std::atomic<Lsn> server_end{0};

    // The thread's own.
    Lsn told;               // confirmation in the status sent last
    Lsn received;           // end of what came
    Lsn keepalive_lsn = 0;  // of the last one in the queue
    Clock::time_point status_sent;
    Clock::time_point last_wait;
    int quick_waits = 0;  // in a row
    bool unflushed = false;
};

void Receiver::State::run() {
    try {
        send_status(false);
        receive();
        say_goodbye();
    } catch (...) {
        queue.fail(std::current_exception());
    }
}

void Receiver::State::receive() {
    while (!stop) {
        Message message;
        char *buffer = nullptr;
        const int size = PQgetCopyData(connection.get(), &buffer, 1);
        message.buffer.reset(buffer);
        if (size > 0) {
            take(std::move(message), static_cast<size_t>(size));
        } else if (size < 0) {
            fail_at_end();
        } else {
            let_gather();
            wait(POLLIN, next_status());
            if (PQconsumeInput(connection.get()) == 0) {
                connection.fail(nullptr);
            }
        }
        send_status_if_due();
    }
}

// While small transactions come one behind the other, each would wake this thread up, and with two cores the sink's
// thread and the walsender have better use for them. So they get a moment to become several. Large messages do not: the
// walsender would soon have nowhere to put them.
void Receiver::State::let_gather() {
    const auto now = Clock::now();
    quick_waits = now - last_wait < kQuick ? quick_waits + 1 : 0;
    if (quick_waits >= kManyQuickWaits) {
        std::this_thread::sleep_for(kGather);
    }
    last_wait = Clock::now();
}

void Receiver::State::take(Message message, size_t size) {
    if (size >= kLargeMessage) {
        quick_waits = 0;
    }
    message.payload = std::string_view(message.buffer.get(), size);
    switch (message.payload.front()) {
        case 'w':
            if (size >= kDataHeader) {
                return take_data(std::move(message));
            }
            break;
        case 'k':
            if (size >= kKeepaliveSize) {
                return take_keepalive(message);
            }
            break;
        default:
            break;
    }
    throw Failure("the server sent a replication message that cannot be read (" + std::to_string(size) + " bytes)");
}

void Receiver::State::take_data(Message message) {
    const char *const bytes = message.payload.data();
    message.kind = Message::kData;
    message.lsn = read_big_endian(bytes + 1);
    message.payload.remove_prefix(kDataHeader);
    received = std::max(received, message.lsn);
    raise_to(server_end, std::max(message.lsn, read_big_endian(bytes + 9)));
    push(message);
}

void Receiver::State::take_keepalive(const Message &message) {
    const char *const bytes = message.payload.data();
    const Lsn end = read_big_endian(bytes + 1);
    const bool reply = bytes[17] != 0;
    received = std::max(received, end);
    raise_to(server_end, end);
    if (reply) {
        send_status(false);
    }
    if (end > keepalive_lsn) {
        Message news;
        news.kind = Message::kKeepalive;
        news.lsn = end;
        if (push(news)) {
            keepalive_lsn = end;
        }
    }
}

// Goes on talking to the server while there is no room. What it sends meanwhile waits in the socket: its requests for
// a reply, too, which is why a status goes out unasked in time.
bool Receiver::State::push(Message &message) {
    while (!queue.push(message, Clock::now() + kPushWait)) {
        if (stop) {
            return false;
        }
        send_status_if_due();
        flush();
    }
    return true;
}

void Receiver::State::fail_at_end() {
    const Result result(PQgetResult(connection.get()));
    if (result.get() == nullptr || PQresultStatus(result.get()) == PGRES_FATAL_ERROR) {
        connection.fail(result.get());
    }
    throw ConnectionLost("the server ended the stream");
}

// Until the socket is ready, another thread wants something, or the deadline.
void Receiver::State::wait(short events, Clock::time_point deadline) {
    pollfd fds[] = {{PQsocket(connection.get()), static_cast<short>(events | (unflushed ? POLLOUT : 0)), 0},
                    {wake.get(), POLLIN, 0}};
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
    poll(fds, 2, static_cast<int>(std::clamp<int64_t>(left, 0, 60000)));
    if (fds[1].revents != 0) {
        wake.clear();
    }
    if ((fds[0].revents & POLLOUT) != 0) {
        flush();
    }
}

Clock::time_point Receiver::State::next_status() const {
    return status_sent + (confirmed > told ? std::min(kConfirmDelay, interval) : interval);
}

void Receiver::State::send_status_if_due() {
    if (ask_keepalive.exchange(false)) {
        send_status(true);
    } else if (Clock::now() >= next_status()) {
        send_status(false);
    }
}

void Receiver::State::send_status(bool ask) {
    const Lsn flushed = confirmed;
    char status[1 + 4 * 8 + 1];
    status[0] = 'r';
    char *at = put_big_endian(status + 1, std::max(received, flushed));  // written
    at = put_big_endian(at, flushed);
    at = put_big_endian(at, flushed);  // applied
    at = put_big_endian(at, static_cast<uint64_t>(server_time()));
    *at = ask ? 1 : 0;
    const int queued = PQputCopyData(connection.get(), status, sizeof status);
    if (queued < 0) {
        connection.fail(nullptr);
    }
    if (queued == 1) {
        told = flushed;
        status_sent = Clock::now();
    }
    flush();
}

void Receiver::State::flush() {
    const int left = PQflush(connection.get());
    if (left < 0) {
        connection.fail(nullptr);
    }
    unflushed = left != 0;
}

// Until the server has let the slot go; a walsender in the midst of a large transaction may not, for long.
void Receiver::State::say_goodbye() {
    const auto deadline = Clock::now() + kGoodbye;
    send_status(false);
    if (PQputCopyEnd(connection.get(), nullptr) < 0) {
        return;
    }
    flush();
    bool copying = true;
    while (Clock::now() < deadline) {
        char *buffer = nullptr;
        const int size = copying ? PQgetCopyData(connection.get(), &buffer, 1) : 0;
        PQfreemem(buffer);
        copying = copying && size >= 0;
        if (size == 0 && (copying || PQisBusy(connection.get()) != 0)) {
            wait(POLLIN, deadline);
            if (PQconsumeInput(connection.get()) == 0) {
                return;
            }
        } else if (!copying) {
            const Result result(PQgetResult(connection.get()));
            if (result.get() == nullptr) {
                return;
            }
        }
    }
}

Receiver::Receiver(const ReceiverOptions &options, MessageQueue &queue)
    : state_(std::make_unique<State>(options, queue)) {
    state_->thread = std::thread(&State::run, state_.get());
}

Receiver::~Receiver() {
    state_->stop = true;
    state_->wake.set();
    state_->thread.join();
}

void Receiver::confirm(Lsn lsn) {
    raise_to(state_->confirmed, lsn);
    state_->wake.set();
}

void Receiver::request_keepalive() {
    state_->ask_keepalive = true;
    state_->wake.set();
}

Lsn Receiver::server_end() const {
    return state_->server_end;
}

}  // namespace cdc::consumer

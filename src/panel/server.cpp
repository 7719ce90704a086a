// Requests and their answers, by cpp-httplib.
#include "server.hpp"

#include "metrics.hpp"
#include "page.hpp"

#include "../consumer/model/failure.hpp"

#include <arpa/inet.h>
#include <httplib.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <cstdlib>
#include <exception>
#include <random>
#include <string>
#include <thread>

namespace cdc::panel {

using consumer::Failure;

namespace {

constexpr size_t kThreads = 16;
constexpr int kPatienceSeconds = 5;  // with a client that is slow, or sends nothing

std::string nonce() {
    std::random_device random;
    std::string out;
    for (int i = 0; i < 4; ++i) {
        char word[9];
        std::snprintf(word, sizeof(word), "%08x", random());
        out += word;
    }
    return out;
}

void replace_all(std::string &text, const std::string &what, const std::string &by) {
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
        text.replace(at, what.size(), by);
    }
}

// Whether a request names this panel as one does on this machine, or by number. A page from elsewhere whose name was
// made to point at 127.0.0.1 must not read ours through the browser of somebody here.
bool is_named_locally(const std::string &host_header) {
    std::string host = host_header;
    if (!host.empty() && host.front() == '[') {
        host = host.substr(1, host.find(']') - 1);
    } else {
        host = host.substr(0, host.rfind(':'));
    }
    unsigned char address[sizeof(in6_addr)];
    return host == "localhost" || inet_pton(AF_INET, host.c_str(), address) == 1 ||
           inet_pton(AF_INET6, host.c_str(), address) == 1;
}

void set_error(httplib::Response &response, int status, const std::string &message) {
    response.status = status;
    response.set_content(
        nlohmann::json{{"error", message}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
        "application/json");
}

}  // namespace

struct Server::State {
    State(const Settings &settings, Watcher &what) : watcher(what) {
        set_up(settings);
        add_handlers();
        const std::string &host = settings.listen.host;
        bound_port = settings.listen.port == 0                       ? http.bind_to_any_port(host)
                     : http.bind_to_port(host, settings.listen.port) ? settings.listen.port
                                                                     : -1;
        if (bound_port <= 0) {
            throw Failure("cannot listen on " + host + ", port " + std::to_string(settings.listen.port),
                          "Is the port in use, or the address not one of this machine?");
        }
        thread = std::thread([this] {
            if (!http.listen_after_bind()) {
                // A program that serves nothing is worse than one that was ended, which its supervisor starts again.
                spdlog::critical("no connection can be accepted any more");
                std::_Exit(1);
            }
        });
    }

    ~State() {
        while (!http.is_running() && thread.joinable()) {  // stop() does nothing before that
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        http.stop();
        thread.join();
    }

    void set_up(const Settings &settings) {
        http.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
        // A connection is one request: a browser that keeps one open would keep a thread.
        http.set_keep_alive_max_count(1);
        http.set_keep_alive_timeout(kPatienceSeconds);
        http.set_read_timeout(kPatienceSeconds);
        http.set_write_timeout(kPatienceSeconds);
        http.set_payload_max_length(0);
        // Without the library's SO_REUSEPORT, by which two panels would share a port.
        http.set_socket_options([](socket_t socket) {
            const int on = 1;
            setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        });
        http.set_default_headers({{"Cache-Control", "no-store"},
                                  {"X-Content-Type-Options", "nosniff"},
                                  {"X-Frame-Options", "DENY"},
                                  {"Referrer-Policy", "no-referrer"},
                                  {"Cross-Origin-Resource-Policy", "same-origin"}});
        http.set_pre_routing_handler(
            [allow_remote = settings.allow_remote](const httplib::Request &request, httplib::Response &response) {
                // The library repeats the page for each of a thousand ranges that a header may name. It asks this
                // handler before it looks at them, with an object that is not const.
                const_cast<httplib::Request &>(request).ranges.clear();
                if (!allow_remote && !is_named_locally(request.get_header_value("Host"))) {
                    set_error(response, 421, "the panel is not served under this name; use 127.0.0.1 or localhost");
                    return httplib::Server::HandlerResponse::Handled;
                }
                return httplib::Server::HandlerResponse::Unhandled;
            });
        http.set_exception_handler(
            [](const httplib::Request &, httplib::Response &response, const std::exception_ptr &thrown) {
                try {
                    std::rethrow_exception(thrown);
                } catch (const std::exception &error) {
                    set_error(response, 503, error.what());
                }
            });
    }

    void add_handlers() {
        using httplib::Request;
        using httplib::Response;
        http.Get("/", [](const Request &, Response &response) {
            const std::string own = nonce();
            std::string text(page());
            replace_all(text, "{{nonce}}", own);
            response.set_header("Content-Security-Policy",
                                "default-src 'none'; connect-src 'self'; script-src 'nonce-" + own +
                                    "'; style-src 'nonce-" + own +
                                    "'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
            response.set_content(text, "text/html; charset=utf-8");
        });
        http.Get("/api/slots", [this](const Request &, Response &response) {
            response.set_content(watcher.json(), "application/json");
        });
        http.Get("/api/runbook", [this](const Request &request, Response &response) {
            const std::optional<std::string> steps = watcher.runbook(request.get_param_value("slot"));
            if (steps) {
                response.set_content(*steps, "application/json");
            } else {
                set_error(response, 404, "there is no such slot");
            }
        });
        http.Get("/metrics", [this](const Request &, Response &response) {
            const std::shared_ptr<const View> view = watcher.view();
            response.set_content(metrics_text(watcher.condition(), view.get()), "text/plain; version=0.0.4");
        });
        http.Get("/healthz", [](const Request &, Response &response) { response.set_content("ok\n", "text/plain"); });
    }

    Watcher &watcher;
    httplib::Server http;
    int bound_port = -1;
    std::thread thread;
};

Server::Server(const Settings &settings, Watcher &watcher) : state_(std::make_unique<State>(settings, watcher)) {}

Server::~Server() = default;

int Server::port() const {
    return state_->bound_port;
}

}  // namespace cdc::panel

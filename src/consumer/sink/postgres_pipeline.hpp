// Statements sent to the server without waiting for each one's result: results are taken in later, in order, with a
// bounded number outstanding.
#pragma once

#include "growing_buffer.hpp"

#include "../postgres/connection.hpp"

#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <vector>

namespace cdc::consumer {

// The parameters of one statement. Kept for their memory.
class Parameters {
 public:
    void clear() {
        bytes_.used = 0;
        starts_.clear();
        lengths_.clear();
        formats_.clear();
    }
    size_t size() const { return starts_.size(); }
    size_t bytes() const { return bytes_.used; }

    // A parameter is what is appended to buffer() between open() and close_...().
    wire::Buffer &buffer() { return bytes_; }
    void open() { starts_.push_back(bytes_.used); }
    void close_binary();
    void close_text();
    void null();

    // Those of `count` from `first` on, as libpq takes them.
    const char *const *values(size_t first, size_t count);
    const int *lengths(size_t first) const { return lengths_.data() + first; }
    const int *formats(size_t first) const { return formats_.data() + first; }

 private:
    static constexpr size_t kNull = std::numeric_limits<size_t>::max();

    void close(int format);

    GrowingBuffer bytes_;
    std::vector<size_t> starts_;
    std::vector<int> lengths_;
    std::vector<int> formats_;
    std::vector<const char *> values_;
};

// Errors that the server reports come out of any call, as ServerError; at the latest out of finish().
class StatementPipeline {
 public:
    // A prepared statement; valid until forget_statements().
    using Statement = uint32_t;

    explicit StatementPipeline(Connection &connection) : connection_(connection) {}

    Statement prepare(const std::string &sql, const std::vector<Oid> &types);
    // `missing`: what to complain of, if the statement changes no row; nullptr if that is no reason to. It must live
    // until finish().
    void run(Statement statement, Parameters &parameters, size_t first, size_t count,
             const std::string *missing = nullptr);
    // A statement that is not worth preparing, with parameters as text.
    void run(const char *sql, const std::vector<std::string> &parameters = {});

    // Waits until all is done; the connection can be used directly then.
    void finish();
    // The same after an error, without telling it. False if the connection is gone.
    bool abandon() noexcept;
    // Drops the prepared statements. Only when nothing is outstanding.
    void forget_statements();
    uint32_t statements() const { return statements_; }  // prepared

 private:
    void enter();
    void sent(int result, const std::string *missing);
    void take_one();
    void take_until(size_t outstanding);

    Connection &connection_;
    bool open_ = false;
    uint32_t statements_ = 0;
    std::deque<const std::string *> expected_;  // `missing` of each statement whose result is outstanding
    size_t unflushed_ = 0;                      // statements since results were asked for
};

}  // namespace cdc::consumer

#include "postgres_pipeline.hpp"

#include <cstdio>
#include <cstring>

namespace cdc::consumer {

namespace {

constexpr size_t kMaxOutstanding = 1000;
// How often the server is asked to send results that it would hold back until its buffer is full.
constexpr size_t kFlushEvery = 250;
constexpr int kText = 0;
constexpr int kBinary = 1;

struct StatementName {
    explicit StatementName(uint32_t statement) { std::snprintf(text, sizeof text, "cdc%u", statement); }
    char text[16];
};

}  // namespace

void Parameters::close(int format) {
    lengths_.push_back(static_cast<int>(bytes_.used - starts_.back()));
    formats_.push_back(format);
}

void Parameters::close_binary() {
    close(kBinary);
}

void Parameters::close_text() {
    close(kText);
    bytes_.append('\0');
}

void Parameters::null() {
    starts_.push_back(kNull);
    lengths_.push_back(0);
    formats_.push_back(kText);
}

const char *const *Parameters::values(size_t first, size_t count) {
    values_.resize(count);
    for (size_t i = 0; i < count; ++i) {
        const size_t start = starts_[first + i];
        // An empty value of an empty buffer must not look like NULL.
        values_[i] = start == kNull ? nullptr : bytes_.used == 0 ? "" : bytes_.chars() + start;
    }
    return values_.data();
}

void StatementPipeline::enter() {
    if (!open_) {
        if (PQenterPipelineMode(connection_.get()) == 0) {
            connection_.fail(nullptr);
        }
        open_ = true;
        unflushed_ = 0;
    }
}

StatementPipeline::Statement StatementPipeline::prepare(const std::string &sql, const std::vector<Oid> &types) {
    enter();
    const Statement statement = statements_++;
    sent(PQsendPrepare(connection_.get(), StatementName(statement).text, sql.c_str(), static_cast<int>(types.size()),
                       types.data()),
         nullptr);
    return statement;
}

void StatementPipeline::run(Statement statement, Parameters &parameters, size_t first, size_t count,
                            const std::string *missing) {
    enter();
    sent(PQsendQueryPrepared(connection_.get(), StatementName(statement).text, static_cast<int>(count),
                             parameters.values(first, count), parameters.lengths(first), parameters.formats(first),
                             kText),
         missing);
}

void StatementPipeline::run(const char *sql, const std::vector<std::string> &parameters) {
    enter();
    std::vector<const char *> values;
    values.reserve(parameters.size());
    for (const std::string &parameter : parameters) {
        values.push_back(parameter.c_str());
    }
    sent(PQsendQueryParams(connection_.get(), sql, static_cast<int>(values.size()), nullptr, values.data(), nullptr,
                           nullptr, kText),
         nullptr);
}

void StatementPipeline::sent(int result, const std::string *missing) {
    if (result == 0) {
        connection_.fail(nullptr);
    }
    expected_.push_back(missing);
    if (++unflushed_ >= kFlushEvery) {
        unflushed_ = 0;
        if (PQsendFlushRequest(connection_.get()) == 0 || PQflush(connection_.get()) < 0) {
            connection_.fail(nullptr);
        }
        // What is left outstanding then has all been asked for, so that waiting for it ends.
        if (expected_.size() > kMaxOutstanding) {
            take_until(kMaxOutstanding / 2);
        }
    }
}

void StatementPipeline::take_until(size_t outstanding) {
    while (expected_.size() > outstanding) {
        take_one();
    }
}

void StatementPipeline::take_one() {
    PGresult *const result = PQgetResult(connection_.get());
    if (result == nullptr) {
        connection_.fail(nullptr);
    }
    const Result owner(result);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        connection_.fail(result);
    }
    const std::string *const missing = expected_.front();
    expected_.pop_front();
    if (missing != nullptr && std::strcmp(PQcmdTuples(result), "0") == 0) {
        throw Failure("the copy of " + *missing + " has no such row as an update at the source has changed",
                      "Something else has changed the copy; `cdc_consumer resnapshot` makes it anew.");
    }
    PQclear(PQgetResult(connection_.get()));  // the NULL between two statements
}

void StatementPipeline::finish() {
    if (!open_) {
        return;
    }
    if (PQpipelineSync(connection_.get()) == 0) {
        connection_.fail(nullptr);
    }
    take_until(0);
    const Result end(PQgetResult(connection_.get()));
    if (PQresultStatus(end.get()) != PGRES_PIPELINE_SYNC || PQexitPipelineMode(connection_.get()) == 0) {
        connection_.fail(nullptr);
    }
    open_ = false;
}

bool StatementPipeline::abandon() noexcept {
    PGconn *const connection = connection_.get();
    expected_.clear();
    if (open_ && PQstatus(connection) == CONNECTION_OK && PQpipelineSync(connection) != 0) {
        // There may be an earlier synchronisation point that was not taken in: the last one leaves nothing behind.
        bool broken = false;
        while (!broken && PQexitPipelineMode(connection) == 0) {
            PGresult *const result = PQgetResult(connection);
            broken = PQstatus(connection) != CONNECTION_OK;
            PQclear(result);
        }
    }
    open_ = false;
    return PQstatus(connection) == CONNECTION_OK;
}

void StatementPipeline::forget_statements() {
    connection_.query("DEALLOCATE ALL");
    statements_ = 0;
}

}  // namespace cdc::consumer

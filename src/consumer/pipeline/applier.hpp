// The stream into the sink: which transactions it lacks, what each needs of the sink's tables, and groups of them.
#pragma once

#include "counters.hpp"

#include "../model/stream_reader.hpp"
#include "../sink/sink.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace cdc::consumer {

// A change of a table that the copy cannot follow: a new copy can.
class SchemaObstacle : public Failure {
 public:
    SchemaObstacle(const TableName &table, const std::string &why)
        : Failure("table " + table.text() + " changed in a way that the sink cannot follow: " + why,
                  "Copy everything anew with \"cdc_consumer resnapshot\", or let --on-rewrite=resnapshot do so.",
                  ExitCode::kSchema) {}
};

// What only the source can tell about a definition.
class SchemaSource {
 public:
    virtual ~SchemaSource() = default;
    // What existing rows have in a column that was added; an empty step.fill is NULL. False if that cannot be told.
    virtual bool fill(const Relation &relation, SchemaStep &step) = 0;
    // Whether a relation that the sink has not met before was empty when the stream started to tell of it.
    virtual bool started_empty(const Relation &relation) = 0;
};

class Applier : private StreamEvents {
 public:
    // `state` is the sink's, and is kept up to date.
    Applier(StreamReader &reader, Sink &sink, SinkState &state, SchemaSource &schema, Counters &counters);

    // Applies what the message holds, opening a group if need be.
    void apply(std::string_view batch) { reader_.read(batch, *this); }

    // Ends the open group, if any, which must not be within a transaction.
    void commit();
    // Sets the position behind WAL that held nothing for the sink, and stores it.
    void advance(Lsn position);
    // Throws the open group away, as far as the sink is concerned.
    void rollback() noexcept;

    bool in_transaction() const { return reader_.in_transaction(); }
    bool group_open() const { return group_open_; }
    uint64_t group_changes() const { return group_changes_; }
    std::chrono::steady_clock::time_point group_start() const { return group_start_; }
    // How long ago its newest transaction was committed, by the two machines' clocks.
    std::chrono::microseconds group_age() const;

 private:
    // What the sink's copy of a relation follows.
    struct Definition {
        std::optional<Relation> stored;  // nothing: the sink has not met it
        const Relation *told = nullptr;  // what the sink was told in this session
    };

    bool begin(const Transaction &transaction, const wire::RecordView &record) override;
    void commit(const Transaction &transaction, const wire::RecordView &record) override;
    void relation(const Relation &relation, const Relation *previous, const wire::RecordView &record) override;
    void change(const Change &change, const wire::RecordView &record) override;
    void truncate(const Truncation &truncation, const wire::RecordView &record) override;
    void message(const wire::EventView &message, const wire::RecordView &record) override;

    void open_group();
    void define(const Relation &relation);
    void check_new(const Relation &relation);

    StreamReader &reader_;
    Sink &sink_;
    SinkState &state_;
    SchemaSource &schema_;
    Counters &counters_;

    std::map<uint32_t, Definition> definitions_;
    const Relation *last_defined_ = nullptr;
    bool applying_ = false;  // the open transaction is applied
    bool group_open_ = false;
    Lsn group_end_ = 0;
    int64_t group_commit_time_ = 0;
    uint64_t group_changes_ = 0;
    uint64_t group_transactions_ = 0;
    uint64_t by_op_[5] = {};
    std::chrono::steady_clock::time_point group_start_;
};

}  // namespace cdc::consumer

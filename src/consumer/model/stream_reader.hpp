// Batches of the slot, of cdc.snapshot() and of recorded files, taken apart into events.
#pragma once

#include "row.hpp"

#include <map>
#include <memory>
#include <string_view>

namespace cdc::consumer {

// What a stream tells, in its order. Views are valid until the call returns.
class StreamEvents {
 public:
    virtual ~StreamEvents() = default;

    // A transaction starts; false to be spared its changes, truncations and messages.
    virtual bool begin(const Transaction &transaction, const wire::RecordView &record) = 0;
    // The transaction is complete; called for those that were spared, too.
    virtual void commit(const Transaction &transaction, const wire::RecordView &record) = 0;
    // The definition that rows follow from here on. `previous` is nullptr the first time that this reader meets the
    // relation; an unchanged definition that comes again is not told.
    virtual void relation(const Relation &relation, const Relation *previous, const wire::RecordView &record) = 0;
    virtual void change(const Change &change, const wire::RecordView &record) = 0;
    virtual void truncate(const Truncation &truncation, const wire::RecordView &record) = 0;
    virtual void message(const wire::EventView &message, const wire::RecordView &record) = 0;
};

class StreamReader {
 public:
    StreamReader() = default;
    StreamReader(const StreamReader &) = delete;
    StreamReader &operator=(const StreamReader &) = delete;

    // Throws CorruptStream, with the offset in `batch`, and whatever `events` throws.
    void read(std::string_view batch, StreamEvents &events);

    // Forgets an open transaction: what comes next is the beginning of a stream. Definitions are kept.
    void restart() {
        transaction_ = Transaction();
        in_transaction_ = false;
    }

    bool in_transaction() const { return in_transaction_; }
    // nullptr if it was not met yet.
    const Relation *find(uint32_t relation_id) const;
    // The newest Relation messages, for rendering.
    wire::RelationSource source() const;

 private:
    void read_record(const wire::RecordView &record, StreamEvents &events);
    void read_change(const wire::RecordView &record, StreamEvents &events);
    void read_truncate(const wire::RecordView &record, StreamEvents &events);
    void read_relation(const wire::RecordView &record, StreamEvents &events);

    std::map<uint32_t, std::unique_ptr<Relation>> relations_;
    const Relation *last_ = nullptr;  // of the change before: mostly that of the next, too
    Transaction transaction_;
    bool in_transaction_ = false;
    bool wanted_ = false;
    uint64_t records_ = 0;  // changes, truncates and messages of the open transaction
    Change change_;         // kept for its memory
};

}  // namespace cdc::consumer

#include "stream_reader.hpp"

#include <string>

namespace cdc::consumer {

namespace {

using wire::Field;
using wire::Reader;

[[noreturn]] void corrupt(const wire::Error &error) {
    throw CorruptStream(std::string(error.what) + " (at byte " + std::to_string(error.offset) + " of a batch)");
}

// The elements of one of a change's rows that come next, as far as they are short.
template <uint32_t field>
void read_short_values(Reader &fields, Row &row) {
    constexpr uint8_t kTag = wire::tag(field, wire::kBytes);
    std::string_view element;
    while (fields.next_short(kTag, element) && wire::read_value(fields, element, row.emplace_back())) {
    }
}

// One pass over a Change record: both rows, and the fields outside of them.
void read_fields(const wire::RecordView &record, uint32_t &relation_id, Change &change) {
    Reader fields = record.body;
    Field field;
    const auto next = [&] {
        read_short_values<wire::change::before>(fields, change.before);
        read_short_values<wire::change::after>(fields, change.after);
        return fields.next(field);
    };
    while (next()) {
        switch (field.number) {
            case wire::change::before:
            case wire::change::after: {
                wire::ValueView value;
                if (wire::read_value(fields, field, value)) {
                    (field.number == wire::change::before ? change.before : change.after).push_back(value);
                }
                break;
            }
            case wire::change::op: {
                const uint64_t op = wire::expect_number(fields, field, wire::kVarint);
                if (op == 0 || op > static_cast<uint64_t>(wire::Op::kRead)) {
                    fields.fail("change of an unknown kind", field);
                }
                change.op = static_cast<wire::Op>(op);
                break;
            }
            case wire::change::ordinal:
                change.ordinal = wire::expect_number(fields, field, wire::kVarint);
                break;
            case wire::change::relation_id:
                relation_id = static_cast<uint32_t>(wire::expect_number(fields, field, wire::kVarint));
                break;
            case wire::change::before_kind: {
                const uint64_t kind = wire::expect_number(fields, field, wire::kVarint);
                if (kind > static_cast<uint64_t>(wire::Before::kFull)) {
                    fields.fail("old row of an unknown kind", field);
                }
                change.before_kind = static_cast<wire::Before>(kind);
                break;
            }
            default:
                break;
        }
    }
}

void read_begin(const wire::RecordView &record, Transaction &transaction) {
    Reader fields = record.body;
    Field field;
    transaction = Transaction();
    while (fields.next(field)) {
        if (field.number == wire::begin::xid) {
            transaction.xid = wire::expect_number(fields, field, wire::kVarint);
        } else if (field.number == wire::begin::commit_lsn) {
            transaction.commit_lsn = wire::expect_number(fields, field, wire::kVarint);
        } else if (field.number == wire::begin::commit_time_micros) {
            transaction.commit_time_micros = static_cast<int64_t>(wire::expect_number(fields, field, wire::kFixed64));
        }
    }
}

}  // namespace

const Relation *StreamReader::find(uint32_t relation_id) const {
    const auto found = relations_.find(relation_id);
    return found == relations_.end() ? nullptr : found->second.get();
}

wire::RelationSource StreamReader::source() const {
    const auto find = [](void *context, uint32_t relation_id) {
        const Relation *const relation = static_cast<const StreamReader *>(context)->find(relation_id);
        return relation == nullptr ? std::string_view() : std::string_view(relation->message);
    };
    return {find, const_cast<StreamReader *>(this)};
}

void StreamReader::read(std::string_view batch, StreamEvents &events) {
    wire::Error error;
    Reader reader(batch, batch.data(), error);
    wire::RecordView record;
    while (wire::next_record(reader, record)) {
        read_record(record, events);
        if (error) {
            break;
        }
    }
    if (error) {
        corrupt(error);
    }
}

void StreamReader::read_record(const wire::RecordView &record, StreamEvents &events) {
    switch (record.kind) {
        case wire::record::begin:
            read_begin(record, transaction_);
            if (record.body.error()) {
                return;
            }
            if (in_transaction_) {
                throw CorruptStream("a transaction begins inside of another");
            }
            in_transaction_ = true;
            records_ = 0;
            wanted_ = events.begin(transaction_, record);
            break;
        case wire::record::commit: {
            Reader fields = record.body;
            Field field;
            uint64_t count = 0;
            while (fields.next(field)) {
                if (field.number == wire::commit::end_lsn) {
                    transaction_.end_lsn = wire::expect_number(fields, field, wire::kVarint);
                } else if (field.number == wire::commit::record_count) {
                    count = wire::expect_number(fields, field, wire::kVarint);
                }
            }
            if (fields.error()) {
                return;
            }
            if (!in_transaction_ || count != records_) {
                throw CorruptStream("transaction " + std::to_string(transaction_.xid) + " should have " +
                                    std::to_string(count) + " records, but " + std::to_string(records_) + " came");
            }
            in_transaction_ = false;
            events.commit(transaction_, record);
            break;
        }
        case wire::record::relation:
            read_relation(record, events);
            break;
        case wire::record::change:
            ++records_;
            if (wanted_ || !in_transaction_) {
                read_change(record, events);
            }
            break;
        case wire::record::truncate:
            ++records_;
            if (wanted_ || !in_transaction_) {
                read_truncate(record, events);
            }
            break;
        case wire::record::message: {
            wire::EventView message;
            if (!wire::read_event(record, source(), message)) {
                return;
            }
            if (message.transactional) {
                ++records_;
            }
            if (!message.transactional || wanted_) {
                events.message(message, record);
            }
            break;
        }
        default:
            throw CorruptStream("record of kind " + std::to_string(record.kind) + ", which this version does not know");
    }
}

void StreamReader::read_change(const wire::RecordView &record, StreamEvents &events) {
    change_.before.clear();
    change_.after.clear();
    change_.op = wire::Op::kUnspecified;
    change_.before_kind = wire::Before::kNone;
    change_.ordinal = 0;
    uint32_t relation_id = 0;
    read_fields(record, relation_id, change_);
    if (record.body.error()) {
        return;
    }
    if (last_ == nullptr || last_->id != relation_id) {
        last_ = find(relation_id);
    }
    if (last_ == nullptr) {
        throw CorruptStream("change of relation " + std::to_string(relation_id) + ", which was not described");
    }
    const size_t columns = last_->columns.size();
    const bool has_before = change_.before_kind != wire::Before::kNone;
    const bool has_after = change_.op != wire::Op::kDelete;
    if (change_.op == wire::Op::kUnspecified || change_.before.size() != (has_before ? columns : 0) ||
        change_.after.size() != (has_after ? columns : 0)) {
        throw CorruptStream("row of " + last_->table.text() + " that does not fit its relation");
    }
    change_.relation = last_;
    events.change(change_, record);
}

void StreamReader::read_truncate(const wire::RecordView &record, StreamEvents &events) {
    wire::EventView event;
    if (!wire::read_event(record, source(), event)) {
        return;
    }
    Truncation truncation;
    truncation.ordinal = event.ordinal;
    wire::each_truncated(record, [&](uint32_t relation_id) {
        const Relation *const relation = find(relation_id);
        if (relation == nullptr) {
            throw CorruptStream("truncation of relation " + std::to_string(relation_id) + ", which was not described");
        }
        truncation.relations.push_back(relation);
    });
    if (!record.body.error()) {
        events.truncate(truncation, record);
    }
}

void StreamReader::read_relation(const wire::RecordView &record, StreamEvents &events) {
    auto relation = std::make_unique<Relation>(parse_relation(record.bytes));
    std::unique_ptr<Relation> &known = relations_[relation->id];
    if (known != nullptr && known->message == relation->message) {
        return;
    }
    last_ = nullptr;
    const std::unique_ptr<Relation> previous = std::move(known);
    known = std::move(relation);
    events.relation(*known, previous.get(), record);
}

}  // namespace cdc::consumer

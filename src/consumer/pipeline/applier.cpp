#include "applier.hpp"

#include <spdlog/spdlog.h>

namespace cdc::consumer {

namespace {

// Microseconds since 1970, as metrics have them; the stream has them since 2000.
int64_t unix_micros() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}
int64_t from_2000(int64_t micros_since_2000) {
    return micros_since_2000 + wire::kEpochUnixSeconds * 1000000;
}

}  // namespace

Applier::Applier(StreamReader &reader, Sink &sink, SinkState &state, SchemaSource &schema, Counters &counters)
    : reader_(reader), sink_(sink), state_(state), schema_(schema), counters_(counters) {
    for (Relation &relation : sink.relations(state.slot)) {
        const uint32_t id = relation.id;
        definitions_[id].stored = std::move(relation);
    }
}

void Applier::open_group() {
    if (!group_open_) {
        sink_.begin();
        group_open_ = true;
        group_start_ = std::chrono::steady_clock::now();
    }
}

std::chrono::microseconds Applier::group_age() const {
    return std::chrono::microseconds(unix_micros() - from_2000(group_commit_time_));
}

bool Applier::begin(const Transaction &transaction, const wire::RecordView &record) {
    // The position is behind a commit record, so it is behind the start of each commit record that the sink has.
    applying_ = transaction.commit_lsn >= std::max(state_.position, group_end_);
    if (applying_) {
        open_group();
        sink_.transaction_begins(transaction, record);
    } else {
        ++counters_.skipped;
    }
    return applying_;
}

void Applier::commit(const Transaction &transaction, const wire::RecordView &record) {
    if (!applying_) {
        return;
    }
    sink_.transaction_ends(transaction, record);
    group_end_ = transaction.end_lsn;
    group_commit_time_ = transaction.commit_time_micros;
    ++group_transactions_;
    applying_ = false;
}

void Applier::relation(const Relation &relation, const Relation *, const wire::RecordView &) {
    // Told to the sink with its first change that is applied: the stream may start with definitions from before the
    // sink's position, which its tables have left behind.
    definitions_[relation.id].told = nullptr;
    last_defined_ = nullptr;
}

void Applier::check_new(const Relation &relation) {
    for (const auto &[id, other] : definitions_) {
        if (id == relation.id || !other.stored || !(other.stored->target() == relation.target())) {
            continue;
        }
        if (!relation.is_partition() || other.stored->root_id != relation.root_id) {
            throw SchemaObstacle(relation.target(), "it was dropped, or renamed, and another one has its name");
        }
    }
    if (!schema_.started_empty(relation)) {
        throw SchemaObstacle(relation.target(), "partition " + relation.table.text() +
                                                    " was attached to it, with rows that may not have been captured");
    }
}

void Applier::define(const Relation &relation) {
    Definition &definition = definitions_[relation.id];
    if (definition.told != &relation) {
        Evolution evolution;
        if (!definition.stored) {
            if (sink_.keeps_definitions()) {
                check_new(relation);
            }
        } else {
            evolution = compare_definitions(*definition.stored, relation);
            if (!evolution.obstacle.empty()) {
                throw SchemaObstacle(relation.target(), evolution.obstacle);
            }
            for (SchemaStep &step : evolution.steps) {
                if (step.kind == SchemaStep::kAddColumn && !schema_.fill(relation, step)) {
                    throw SchemaObstacle(relation.target(),
                                         "the rows that it had may each have another value in its "
                                         "new column \"" +
                                             step.column.name + '"');
                }
            }
            if (!evolution.steps.empty()) {
                spdlog::info("table {} has a new definition", relation.target().text());
            }
        }
        sink_.define(relation, definition.stored ? &*definition.stored : nullptr,
                     definition.stored ? &evolution : nullptr);
        definition.stored = relation;
        definition.told = &relation;
    }
    last_defined_ = &relation;
}

void Applier::change(const Change &change, const wire::RecordView &record) {
    if (change.relation != last_defined_) {
        define(*change.relation);
    }
    sink_.apply(change, record);
    ++by_op_[static_cast<int>(change.op)];
    ++group_changes_;
}

void Applier::truncate(const Truncation &truncation, const wire::RecordView &record) {
    for (const Relation *const relation : truncation.relations) {
        define(*relation);
    }
    sink_.truncate(truncation, record);
    ++counters_.truncates;
    ++group_changes_;
}

void Applier::message(const wire::EventView &message, const wire::RecordView &record) {
    ++counters_.messages;
    if (!message.transactional) {
        if (message.lsn < std::max(state_.position, group_end_)) {
            return;
        }
        open_group();
        group_end_ = std::max(group_end_, message.lsn + 1);  // later commit records start behind it
    }
    sink_.message(message, record);
}

void Applier::commit() {
    if (!group_open_) {
        return;
    }
    SinkState state = state_;
    state.position = std::max(state.position, group_end_);
    sink_.commit(state);
    state_ = state;
    group_open_ = false;
    if (group_transactions_ > 0) {
        ++counters_.groups;
        counters_.transactions += group_transactions_;
        counters_.inserts += by_op_[static_cast<int>(wire::Op::kInsert)];
        counters_.updates += by_op_[static_cast<int>(wire::Op::kUpdate)];
        counters_.deletes += by_op_[static_cast<int>(wire::Op::kDelete)];
        counters_.commit_time = from_2000(group_commit_time_);
        counters_.applied_time = unix_micros();
    }
    counters_.applied_lsn = state_.position;
    group_transactions_ = 0;
    group_changes_ = 0;
    for (uint64_t &count : by_op_) {
        count = 0;
    }
}

void Applier::advance(Lsn position) {
    if (position <= state_.position) {
        return;
    }
    open_group();
    group_end_ = position;
    commit();
}

void Applier::rollback() noexcept {
    if (group_open_) {
        sink_.rollback();
        group_open_ = false;
    }
}

}  // namespace cdc::consumer

// What is common to sinks that can complete an interrupted copy.
//
// Parts of it are as of different moments. Every row that changed between these and the end of the stream that follows
// comes in that stream, last with its last state; so it is enough that each change sets the whole state of the row's
// key, whatever is there: a row that is not there is put there, one that is there is replaced, also by an earlier one.
#include "sink.hpp"

#include <stdexcept>

namespace cdc::consumer {

void Sink::resume_snapshot(const SinkState &) {
    throw std::logic_error("this sink has no copy to go on with");
}

void check_catch_up(const Relation &relation, const Relation *previous, const Evolution *evolution) {
    const std::string table = "table " + relation.target().text();
    if (previous == nullptr || evolution == nullptr) {
        throw CopyObstacle(table + " was not there when the copy was begun");
    }
    // Not even the replica identity may be another one: updates that do not say which row they are about leave no
    // trace.
    if (!evolution->obstacle.empty() || !evolution->steps.empty() || relation.message != previous->message) {
        throw CopyObstacle(table + " was altered since the copy was begun");
    }
}

Row whole_row(const Change &change) {
    Row row = change.after;
    for (size_t i = 0; i < row.size(); ++i) {
        if (!is_unchanged_toast(row[i])) {
            continue;
        }
        if (change.before_kind == wire::Before::kNone || !is_known(change.before[i])) {
            throw CopyObstacle("an update of table " + change.relation->table.text() +
                               " does not say all of its row (without REPLICA IDENTITY FULL, a large value that it has "
                               "left as it was is not told)");
        }
        row[i] = change.before[i];
    }
    return row;
}

}  // namespace cdc::consumer

// Records as JSON: what format=json sends, and what cdc.decode() and cdc.peek_changes() show. Values look as to_jsonb()
// prints them under TimeZone 'UTC'; numbers keep all their digits.
//
// Input is not trusted: whatever is wrong with it ends up in the Error that the Reader carries, and the output so far
// is to be thrown away.
#pragma once

#include "buffer.hpp"
#include "reader.hpp"

#include <string_view>

namespace cdc::wire {

// Finds the newest Relation message with an OID; empty if there was none, and rows then become arrays.
struct RelationSource {
    std::string_view (*find)(void *context, uint32_t relation_id);
    void *context;

    std::string_view operator()(uint32_t relation_id) const { return find(context, relation_id); }
};

struct RenderOptions {
    bool ascii_only;       // for text that must be valid in any server encoding
    bool unicode_escapes;  // jsonb can hold any \u escape: only where it holds UTF-8
    bool lenient;          // text that is not UTF-8 or not JSON is shown instead of refused: for records of our own
};

// The transaction that records belong to; kept by the caller from one record to the next.
struct Transaction {
    bool known = false;
    uint64_t xid = 0;
    uint64_t commit_lsn = 0;
};

// One Record, opened: the field of its oneof that is set.
struct RecordView {
    uint32_t kind = 0;       // a number of namespace record
    Reader body;             // its message, to be read
    std::string_view bytes;  // its message, as it is
};

// Reads the next record of a batch; false at the end and after an error.
bool next_record(Reader &batch, RecordView &record);

// A Change, a Truncate or a Message, with the fields that stand outside of rows.
struct EventView {
    uint32_t kind = 0;  // record::change, record::truncate, record::message
    uint64_t ordinal = 0;
    // Change:
    Op op = Op::kUnspecified;
    uint32_t relation_id = 0;
    Before before_kind = Before::kNone;
    std::string_view relation;  // its Relation message; empty if unknown
    // Truncate:
    bool cascade = false;
    bool restart_identity = false;
    // Message:
    bool transactional = false;
    uint64_t lsn = 0;
    std::string_view prefix;
    std::string_view content;
    uint64_t too_large_bytes = 0;
};

// Reads an event out of a record of such a kind; false after an error.
bool read_event(const RecordView &record, RelationSource relations, EventView &event);

// Updates `transaction` from a Begin record (and forgets it behind a Commit); false after an error.
bool follow_transaction(const RecordView &record, Transaction &transaction);

// The position to confirm behind a Commit record.
uint64_t commit_end(const RecordView &record);

// Word for an event: insert, update, delete, read, truncate, message.
const char *event_word(const EventView &event);

// Schema and name in a Relation message (empty where it cannot be read).
struct RelationName {
    std::string_view schema;
    std::string_view name;
};
RelationName relation_name(std::string_view relation);

// The OID in a Relation message.
uint32_t relation_oid(const RecordView &record);

// Calls visit(relation_id) for each relation of a Truncate record.
template <typename Visit>
void each_truncated(const RecordView &record, Visit visit) {
    Reader fields = record.body;
    Field field;
    while (fields.next(field)) {
        if (field.number == truncate::relation_ids) {
            expect_bytes(fields, field);
            Reader ids = fields.enter(field);
            uint64_t id;
            while (ids.next_varint(id)) {
                visit(static_cast<uint32_t>(id));
            }
        }
    }
}

// Rows: `list` is change::before or change::after. An object by column name, or an array if the relation is unknown.
void render_row(Buffer &out, const RecordView &record, const EventView &event, uint32_t list, RenderOptions options);

// What a row object cannot say, as ,"name":value members: the columns whose value is unchanged TOAST, too large or not
// UTF-8, and the changed columns.
void render_change_notes(Buffer &out, const RecordView &record, const EventView &event, RenderOptions options);

// ,"prefix":...,"content":... of a message.
void render_message_members(Buffer &out, const EventView &event, RenderOptions options);

// A whole record as one JSON object. Follows `transaction`.
void render_record(Buffer &out, const RecordView &record, Transaction &transaction, RelationSource relations,
                   RenderOptions options);

void put_text(Buffer &out, std::string_view text);
void put_lsn(Buffer &out, uint64_t lsn);  // "0/16B3748", with the quotes

}  // namespace cdc::wire

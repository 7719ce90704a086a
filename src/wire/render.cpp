// Records as JSON.
#include "render.hpp"

#include "calendar.hpp"
#include "json.hpp"
#include "numeric_text.hpp"
#include "render_value.hpp"

namespace cdc::wire {

namespace {

void put_unsigned(Buffer &out, uint64_t number) {
    out.advance_to(put_unsigned_text(out.reserve(24), number));
}

// ,"name": — the comma is there because every object starts with a member of its own.
void put_member(Buffer &out, const char *name) {
    out.append(',');
    out.append('"');
    put_text(out, name);
    put_text(out, "\":");
}

void put_bool(Buffer &out, bool value) {
    put_text(out, value ? "true" : "false");
}

void put_commit_time(Buffer &out, int64_t micros) {
    put_member(out, "commit_time");
    out.append('"');
    out.advance_to(put_timestamp_text(out.reserve(kCalendarTextRoom), micros, true));
    out.append('"');
}

// Walks the columns of a Relation message in step with a list of values. The message may lie outside of the input at
// hand, so what is wrong with it is not an error of that input: its columns end there.
class ColumnNames {
 public:
    explicit ColumnNames(std::string_view relation)
        : known_(!relation.empty()), fields_(relation, relation.data(), error_) {}
    ColumnNames(const ColumnNames &) = delete;
    ColumnNames &operator=(const ColumnNames &) = delete;

    bool known() const { return known_; }

    // The next column's name; false if there is none left.
    bool next(std::string_view &name) {
        Field field;
        while (fields_.next(field)) {
            if (field.number != relation::columns) {
                continue;
            }
            expect_bytes(fields_, field);
            Reader column = fields_.enter(field);
            Field member;
            name = std::string_view();
            while (column.next(member)) {
                if (member.number == column::name) {
                    name = expect_string(column, member);
                }
            }
            return true;
        }
        return false;
    }

 private:
    bool known_;
    Error error_;
    Reader fields_;
};

// Calls visit(index, name, reader, value) for each value of a list of a Change; names are empty without a relation.
template <typename Visit>
void each_value(const RecordView &record, const EventView &event, uint32_t list, Visit visit) {
    Reader fields = record.body;
    Field field;
    ColumnNames names(event.relation);
    uint32_t index = 0;
    while (fields.next(field)) {
        if (field.number != list) {
            continue;
        }
        std::string_view name;
        if (names.known() && !names.next(name)) {
            fields.fail("row with more values than its relation has columns", field);
            return;
        }
        ValueView value;
        if (!read_value(fields, field, value)) {
            return;
        }
        visit(index, name, fields, value);
        ++index;
    }
    const bool due = list == change::before ? event.before_kind != Before::kNone : event.op != Op::kDelete;
    std::string_view name;
    if (!fields.error() && (due || index != 0) && names.known() && names.next(name)) {
        fields.fail("row with fewer values than its relation has columns", field);
    }
}

void put_column(Buffer &out, uint32_t index, std::string_view name, bool named, RenderOptions options) {
    if (named) {
        put_json_string(out, name, options.ascii_only);
    } else {
        put_unsigned(out, index);
    }
}

// ,"title":["a","b"] of the columns that `wanted` picks in either row.
template <typename Wanted>
void put_column_list(Buffer &out, const char *title, const RecordView &record, const EventView &event, uint32_t list,
                     RenderOptions options, Wanted wanted) {
    bool any = false;
    each_value(record, event, list, [&](uint32_t index, std::string_view name, const Reader &, const ValueView &value) {
        if (!wanted(value)) {
            return;
        }
        if (!any) {
            put_member(out, title);
        }
        out.append(any ? ',' : '[');
        any = true;
        put_column(out, index, name, !event.relation.empty(), options);
    });
    if (any) {
        out.append(']');
    }
}

// ,"title":{"a":123} of the columns that were too large, with their size.
void put_too_large(Buffer &out, const char *title, const RecordView &record, const EventView &event, uint32_t list,
                   RenderOptions options) {
    bool any = false;
    each_value(record, event, list,
               [&](uint32_t index, std::string_view name, const Reader &reader, const ValueView &value) {
                   if (value.kind != value::too_large_bytes) {
                       return;
                   }
                   if (!any) {
                       put_member(out, title);
                   }
                   out.append(any ? ',' : '{');
                   any = true;
                   const bool named = !event.relation.empty();
                   if (!named) {
                       out.append('"');
                   }
                   put_column(out, index, name, named, options);
                   if (!named) {
                       out.append('"');
                   }
                   out.append(':');
                   put_unsigned(out, expect_number(reader, value.payload, kVarint));
               });
    if (any) {
        out.append('}');
    }
}

void put_changed_columns(Buffer &out, const RecordView &record, const EventView &event, RenderOptions options) {
    Reader fields = record.body;
    Field field;
    while (fields.next(field)) {
        if (field.number != change::changed) {
            continue;
        }
        put_member(out, "changed");
        out.append('[');
        expect_bytes(fields, field);
        Reader lists = fields.enter(field);
        Field list;
        ColumnNames names(event.relation);
        uint64_t next = 0;  // the lowest position that may come
        while (lists.next(list)) {
            if (list.number != changed_columns::columns) {
                continue;
            }
            expect_bytes(lists, list);
            Reader numbers = lists.enter(list);
            uint64_t position;
            while (numbers.next_varint(position)) {
                if (position < next) {
                    numbers.fail("changed columns that are not in ascending order", list);
                    return;
                }
                bool found = position <= UINT32_MAX;
                std::string_view name;
                for (uint64_t i = next; found && names.known() && i <= position; ++i) {
                    found = names.next(name);
                }
                if (!found) {
                    numbers.fail("changed column that the relation does not have", list);
                    return;
                }
                if (next != 0) {
                    out.append(',');
                }
                next = position + 1;
                put_column(out, static_cast<uint32_t>(position), name, names.known(), options);
            }
        }
        out.append(']');
    }
}

void put_relation_name(Buffer &out, std::string_view relation, RenderOptions options) {
    if (!relation.empty()) {
        const RelationName name = relation_name(relation);
        put_member(out, "schema");
        put_json_string(out, name.schema, options.ascii_only);
        put_member(out, "table");
        put_json_string(out, name.name, options.ascii_only);
    }
}

const char *identity_word(uint64_t identity) {
    switch (static_cast<ReplicaIdentity>(identity)) {
        case ReplicaIdentity::kDefault:
            return "default";
        case ReplicaIdentity::kNothing:
            return "nothing";
        case ReplicaIdentity::kFull:
            return "full";
        case ReplicaIdentity::kIndex:
            return "index";
        case ReplicaIdentity::kUnspecified:
            break;
    }
    return "unknown";
}

void render_begin(Buffer &out, const RecordView &record, RenderOptions options) {
    Reader fields = record.body;
    Field field;
    int64_t commit_time = 0;
    while (fields.next(field)) {
        switch (field.number) {
            case begin::xid:
                put_member(out, "xid");
                put_unsigned(out, expect_number(fields, field, kVarint));
                break;
            case begin::commit_lsn:
                put_member(out, "commit_lsn");
                put_lsn(out, expect_number(fields, field, kVarint));
                break;
            case begin::commit_time_micros:
                commit_time = static_cast<int64_t>(expect_number(fields, field, kFixed64));
                break;
            case begin::origin: {
                expect_bytes(fields, field);
                Reader members = fields.enter(field);
                Field member;
                while (members.next(member)) {
                    if (member.number == origin::name) {
                        put_member(out, "origin");
                        put_json_string(out, expect_string(members, member), options.ascii_only);
                    } else if (member.number == origin::lsn) {
                        put_member(out, "origin_lsn");
                        put_lsn(out, expect_number(members, member, kVarint));
                    }
                }
                break;
            }
            default:
                break;
        }
    }
    put_commit_time(out, commit_time);
}

void render_commit(Buffer &out, const RecordView &record) {
    Reader fields = record.body;
    Field field;
    int64_t commit_time = 0;
    uint64_t record_count = 0;
    while (fields.next(field)) {
        switch (field.number) {
            case commit::xid:
                put_member(out, "xid");
                put_unsigned(out, expect_number(fields, field, kVarint));
                break;
            case commit::commit_lsn:
                put_member(out, "commit_lsn");
                put_lsn(out, expect_number(fields, field, kVarint));
                break;
            case commit::end_lsn:
                put_member(out, "end_lsn");
                put_lsn(out, expect_number(fields, field, kVarint));
                break;
            case commit::commit_time_micros:
                commit_time = static_cast<int64_t>(expect_number(fields, field, kFixed64));
                break;
            case commit::record_count:
                record_count = expect_number(fields, field, kVarint);
                break;
            default:
                break;
        }
    }
    put_commit_time(out, commit_time);
    put_member(out, "record_count");
    put_unsigned(out, record_count);
}

void render_column(Buffer &out, const Reader &relation, const Field &column, RenderOptions options) {
    expect_bytes(relation, column);
    Reader fields = relation.enter(column);
    Field field;
    bool first = true;
    bool nullable = false;
    bool in_identity = false;
    const auto member = [&](const char *name) {
        if (!first) {
            out.append(',');
        }
        first = false;
        out.append('"');
        put_text(out, name);
        put_text(out, "\":");
    };
    out.append('{');
    while (fields.next(field)) {
        switch (field.number) {
            case column::name:
                member("name");
                put_json_string(out, expect_string(fields, field), options.ascii_only);
                break;
            case column::type_oid:
                member("type_oid");
                put_unsigned(out, expect_number(fields, field, kVarint));
                break;
            case column::type_schema:
                member("type_schema");
                put_json_string(out, expect_string(fields, field), options.ascii_only);
                break;
            case column::type_name:
                member("type_name");
                put_json_string(out, expect_string(fields, field), options.ascii_only);
                break;
            case column::type_modifier:
                member("type_modifier");
                out.advance_to(put_integer_text(out.reserve(24), unzigzag(expect_number(fields, field, kVarint))));
                break;
            case column::type_sql:
                member("type");
                put_json_string(out, expect_string(fields, field), options.ascii_only);
                break;
            case column::base_type_oid:
                member("base_type_oid");
                put_unsigned(out, expect_number(fields, field, kVarint));
                break;
            case column::nullable:
                nullable = expect_number(fields, field, kVarint) != 0;
                break;
            case column::generated:
                if (expect_number(fields, field, kVarint) == static_cast<uint64_t>(Generated::kStored)) {
                    member("generated");
                    put_text(out, "\"stored\"");
                }
                break;
            case column::in_replica_identity:
                in_identity = expect_number(fields, field, kVarint) != 0;
                break;
            case column::primary_key_position:
                member("primary_key_position");
                put_unsigned(out, expect_number(fields, field, kVarint));
                break;
            case column::attribute_number:
                member("attribute_number");
                put_unsigned(out, expect_number(fields, field, kVarint));
                break;
            default:
                break;
        }
    }
    member("nullable");
    put_bool(out, nullable);
    member("in_replica_identity");
    put_bool(out, in_identity);
    out.append('}');
}

// All of them at once, wherever they stand among the other fields.
void render_columns(Buffer &out, const RecordView &record, RenderOptions options) {
    Reader fields = record.body;
    Field field;
    bool first = true;
    out.append('[');
    while (fields.next(field)) {
        if (field.number == relation::columns) {
            if (!first) {
                out.append(',');
            }
            first = false;
            render_column(out, fields, field, options);
        }
    }
    out.append(']');
}

void render_relation(Buffer &out, const RecordView &record, RenderOptions options) {
    Reader fields = record.body;
    Field field;
    bool has_columns = false;
    put_member(out, "relation_id");
    put_unsigned(out, relation_oid(record));
    while (fields.next(field)) {
        switch (field.number) {
            case relation::schema:
                put_member(out, "schema");
                put_json_string(out, expect_string(fields, field), options.ascii_only);
                break;
            case relation::name:
                put_member(out, "table");
                put_json_string(out, expect_string(fields, field), options.ascii_only);
                break;
            case relation::replica_identity:
                put_member(out, "replica_identity");
                out.append('"');
                put_text(out, identity_word(expect_number(fields, field, kVarint)));
                out.append('"');
                break;
            case relation::columns:
                if (!has_columns) {
                    put_member(out, "columns");
                    render_columns(out, record, options);
                    has_columns = true;
                }
                break;
            case relation::fingerprint:
                // Text, because readers that take JSON numbers for doubles would round it.
                put_member(out, "fingerprint");
                out.append('"');
                put_unsigned(out, expect_number(fields, field, kFixed64));
                out.append('"');
                break;
            case relation::root_relation_id:
                put_member(out, "root_relation_id");
                put_unsigned(out, expect_number(fields, field, kVarint));
                break;
            case relation::root_schema:
                put_member(out, "root_schema");
                put_json_string(out, expect_string(fields, field), options.ascii_only);
                break;
            case relation::root_name:
                put_member(out, "root_table");
                put_json_string(out, expect_string(fields, field), options.ascii_only);
                break;
            default:
                break;
        }
    }
}

void render_event(Buffer &out, const RecordView &record, const Transaction &transaction, RelationSource relations,
                  RenderOptions options) {
    EventView event;
    if (!read_event(record, relations, event)) {
        return;
    }
    const bool in_transaction = record.kind != record::message || event.transactional;
    if (record.kind == record::change) {
        put_member(out, "op");
        out.append('"');
        put_text(out, event_word(event));
        out.append('"');
    }
    if (in_transaction) {
        if (transaction.known) {
            put_member(out, "commit_lsn");
            put_lsn(out, transaction.commit_lsn);
        }
        put_member(out, "ordinal");
        put_unsigned(out, event.ordinal);
        if (transaction.known) {
            put_member(out, "xid");
            put_unsigned(out, transaction.xid);
        }
    }
    if (record.kind == record::change) {
        put_member(out, "relation_id");
        put_unsigned(out, event.relation_id);
        put_relation_name(out, event.relation, options);
        if (event.before_kind != Before::kNone) {
            put_member(out, "before_kind");
            put_text(out, event.before_kind == Before::kFull ? "\"full\"" : "\"key\"");
            put_member(out, "before");
            render_row(out, record, event, change::before, options);
        }
        if (event.op != Op::kDelete) {
            put_member(out, "after");
            render_row(out, record, event, change::after, options);
        }
        render_change_notes(out, record, event, options);
    } else if (record.kind == record::truncate) {
        put_member(out, "relations");
        out.append('[');
        bool first = true;
        each_truncated(record, [&](uint32_t relation_id) {
            if (!first) {
                out.append(',');
            }
            first = false;
            put_text(out, "{\"relation_id\":");
            put_unsigned(out, relation_id);
            put_relation_name(out, relations(relation_id), options);
            out.append('}');
        });
        out.append(']');
        put_member(out, "cascade");
        put_bool(out, event.cascade);
        put_member(out, "restart_identity");
        put_bool(out, event.restart_identity);
    } else {
        put_member(out, "lsn");
        put_lsn(out, event.lsn);
        put_member(out, "transactional");
        put_bool(out, event.transactional);
        render_message_members(out, event, options);
    }
}

}  // namespace

void put_text(Buffer &out, std::string_view text) {
    out.append(text.data(), text.size());
}

void put_lsn(Buffer &out, uint64_t lsn) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    const auto put_half = [&](uint32_t half) {
        bool started = false;
        for (int shift = 28; shift >= 0; shift -= 4) {
            const unsigned digit = half >> shift & 15;
            started = started || digit != 0 || shift == 0;
            if (started) {
                out.append(static_cast<uint8_t>(kHex[digit]));
            }
        }
    };
    out.append('"');
    put_half(static_cast<uint32_t>(lsn >> 32));
    out.append('/');
    put_half(static_cast<uint32_t>(lsn));
    out.append('"');
}

bool next_record(Reader &batch, RecordView &record) {
    Field field;
    if (!batch.next(field)) {
        return false;
    }
    if (field.number != batch::records) {
        batch.fail("field that a batch does not have", field);
        return false;
    }
    expect_bytes(batch, field);
    if (batch.error()) {
        return false;
    }
    Reader fields = batch.enter(field);
    Field kind;
    record.kind = 0;
    while (fields.next(kind)) {
        if (kind.number > record::message || kind.type != kBytes) {
            fields.fail("record of an unknown kind", kind);
            return false;
        }
        record.kind = kind.number;
        record.body = fields.enter(kind);
        record.bytes = kind.bytes;
    }
    if (record.kind == 0) {
        fields.fail("record without a kind", field);
    }
    return !batch.error();
}

bool read_event(const RecordView &record, RelationSource relations, EventView &event) {
    Reader fields = record.body;
    Field field;
    event = EventView();
    event.kind = record.kind;
    const auto number = [&] { return expect_number(fields, field, kVarint); };
    while (fields.next(field)) {
        if (record.kind == record::change) {
            switch (field.number) {
                case change::op: {
                    const uint64_t op = number();
                    if (op == 0 || op > static_cast<uint64_t>(Op::kRead)) {
                        fields.fail("change of an unknown kind", field);
                    }
                    event.op = static_cast<Op>(op);
                    break;
                }
                case change::ordinal:
                    event.ordinal = number();
                    break;
                case change::relation_id:
                    event.relation_id = static_cast<uint32_t>(number());
                    break;
                case change::before_kind: {
                    const uint64_t kind = number();
                    if (kind > static_cast<uint64_t>(Before::kFull)) {
                        fields.fail("old row of an unknown kind", field);
                    }
                    event.before_kind = static_cast<Before>(kind);
                    break;
                }
                default:
                    break;
            }
        } else if (record.kind == record::truncate) {
            switch (field.number) {
                case truncate::ordinal:
                    event.ordinal = number();
                    break;
                case truncate::cascade:
                    event.cascade = number() != 0;
                    break;
                case truncate::restart_identity:
                    event.restart_identity = number() != 0;
                    break;
                default:
                    break;
            }
        } else {
            switch (field.number) {
                case message::ordinal:
                    event.ordinal = number();
                    break;
                case message::transactional:
                    event.transactional = number() != 0;
                    break;
                case message::lsn:
                    event.lsn = number();
                    break;
                case message::prefix:
                    event.prefix = expect_string(fields, field);
                    break;
                case message::content:
                    event.content = expect_bytes(fields, field);
                    break;
                case message::too_large_bytes:
                    event.too_large_bytes = number();
                    break;
                default:
                    break;
            }
        }
    }
    if (record.kind == record::change) {
        if (event.op == Op::kUnspecified) {
            fields.fail("change without a kind", field);
        }
        event.relation = relations(event.relation_id);
    }
    return !fields.error();
}

bool follow_transaction(const RecordView &record, Transaction &transaction) {
    if (record.kind == record::commit) {
        transaction = Transaction();
    } else if (record.kind == record::begin) {
        transaction = Transaction();
        transaction.known = true;
        Reader fields = record.body;
        Field field;
        while (fields.next(field)) {
            if (field.number == begin::xid) {
                transaction.xid = expect_number(fields, field, kVarint);
            } else if (field.number == begin::commit_lsn) {
                transaction.commit_lsn = expect_number(fields, field, kVarint);
            }
        }
    }
    return !record.body.error();
}

uint64_t commit_end(const RecordView &record) {
    Reader fields = record.body;
    Field field;
    uint64_t end = 0;
    while (fields.next(field)) {
        if (field.number == commit::end_lsn) {
            end = expect_number(fields, field, kVarint);
        }
    }
    return end;
}

const char *event_word(const EventView &event) {
    if (event.kind == record::truncate) {
        return "truncate";
    }
    if (event.kind == record::message) {
        return "message";
    }
    switch (event.op) {
        case Op::kInsert:
            return "insert";
        case Op::kUpdate:
            return "update";
        case Op::kDelete:
            return "delete";
        case Op::kRead:
            return "read";
        case Op::kUnspecified:
            break;
    }
    return "unknown";
}

RelationName relation_name(std::string_view relation) {
    Error error;
    Reader fields(relation, relation.data(), error);
    Field field;
    RelationName result;
    while (fields.next(field)) {
        if (field.number == relation::schema) {
            result.schema = expect_string(fields, field);
        } else if (field.number == relation::name) {
            result.name = expect_string(fields, field);
        }
    }
    return result;
}

uint32_t relation_oid(const RecordView &record) {
    Reader fields = record.body;
    Field field;
    uint32_t oid = 0;
    while (fields.next(field)) {
        if (field.number == relation::relation_id) {
            oid = static_cast<uint32_t>(expect_number(fields, field, kVarint));
        }
    }
    return oid;
}

void render_row(Buffer &out, const RecordView &record, const EventView &event, uint32_t list, RenderOptions options) {
    const bool named = !event.relation.empty();
    bool first = true;
    out.append(named ? '{' : '[');
    each_value(record, event, list, [&](uint32_t, std::string_view name, const Reader &reader, const ValueView &value) {
        if (named && !has_json(value)) {
            return;
        }
        if (!first) {
            out.append(',');
        }
        first = false;
        if (named) {
            put_json_string(out, name, options.ascii_only);
            out.append(':');
        }
        if (has_json(value)) {
            render_value(out, reader, value, options);
        } else {
            put_text(out, "null");
        }
    });
    out.append(named ? '}' : ']');
}

void render_change_notes(Buffer &out, const RecordView &record, const EventView &event, RenderOptions options) {
    const auto unchanged = [](const ValueView &value) {
        return value.kind == value::absent && value.absent == Absent::kUnchangedToast;
    };
    const auto undecoded = [](const ValueView &value) { return value.kind == value::undecoded_text; };
    put_column_list(out, "unchanged_toast", record, event, change::after, options, unchanged);
    put_too_large(out, "before_too_large", record, event, change::before, options);
    put_too_large(out, "after_too_large", record, event, change::after, options);
    put_column_list(out, "before_undecoded", record, event, change::before, options, undecoded);
    put_column_list(out, "after_undecoded", record, event, change::after, options, undecoded);
    put_changed_columns(out, record, event, options);
}

void render_message_members(Buffer &out, const EventView &event, RenderOptions options) {
    put_member(out, "prefix");
    put_json_string(out, event.prefix, options.ascii_only);
    if (event.too_large_bytes != 0) {
        put_member(out, "too_large");
        put_unsigned(out, event.too_large_bytes);
        return;
    }
    if (valid_utf8_prefix(event.content) == event.content.size()) {
        put_member(out, "content");
        put_json_string(out, event.content, options.ascii_only);
    } else {
        put_member(out, "content_hex");
        out.append('"');
        static constexpr char kHex[] = "0123456789abcdef";
        for (const char c : event.content) {
            out.append(static_cast<uint8_t>(kHex[static_cast<uint8_t>(c) >> 4]));
            out.append(static_cast<uint8_t>(kHex[static_cast<uint8_t>(c) & 15]));
        }
        out.append('"');
    }
}

void render_record(Buffer &out, const RecordView &record, Transaction &transaction, RelationSource relations,
                   RenderOptions options) {
    static constexpr const char *kWords[] = {"", "begin", "commit", "relation", "change", "truncate", "message"};
    put_text(out, "{\"record\":\"");
    put_text(out, kWords[record.kind]);
    out.append('"');
    switch (record.kind) {
        case record::begin:
            render_begin(out, record, options);
            break;
        case record::commit:
            render_commit(out, record);
            break;
        case record::relation:
            render_relation(out, record, options);
            break;
        default:
            render_event(out, record, transaction, relations, options);
            break;
    }
    out.append('}');
    follow_transaction(record, transaction);
}

}  // namespace cdc::wire

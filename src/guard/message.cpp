// PostgreSQL's style: the message in lower case without a full stop, detail and hint as sentences.
#include "message.hpp"

#include "quantity.hpp"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace cdc::guard {

namespace {

// Appends to a text of bounded size; what does not fit is cut.
struct Text {
    char *out;
    size_t size;
    size_t used = 0;

    __attribute__((format(printf, 2, 3))) void add(const char *format, ...) {
        if (used + 1 >= size) {
            return;
        }
        va_list arguments;
        va_start(arguments, format);
        const int written = vsnprintf(out + used, size - used, format, arguments);
        va_end(arguments);
        if (written > 0) {
            used += static_cast<size_t>(written);
            used = used < size ? used : size - 1;
        }
    }
};

struct Bytes {
    char text[kQuantityRoom];
    explicit Bytes(int64_t bytes) { format_bytes(text, bytes); }
};

struct Duration {
    char text[kQuantityRoom];
    explicit Duration(int64_t micros) { format_duration(text, micros); }
};

void add_transaction(Text &text, const Names &names, const Observation &slot) {
    if (slot.pin_prepared) {
        text.add("prepared transaction %u", slot.pin_xid);
    } else if (slot.pin_pid != 0) {
        text.add("transaction %u of process %d", slot.pin_xid, static_cast<int>(slot.pin_pid));
    } else {
        text.add("transaction %u on the primary", slot.pin_xid);
    }
    if (names.database != nullptr) {
        text.add(" in database \"%s\"", names.database);
    }
}

void add_transaction_advice(Text &text, const Names &names, const Observation &slot) {
    text.add("End ");
    add_transaction(text, names, slot);
    if (slot.pin_prepared) {
        text.add(": COMMIT PREPARED or ROLLBACK PREPARED the gid that pg_prepared_xacts shows for it.");
    } else if (slot.pin_pid != 0) {
        text.add(": SELECT pg_terminate_backend(%d);", static_cast<int>(slot.pin_pid));
    } else {
        text.add(".");
    }
}

void add_cause_advice(Text &text, Cause cause, const Names &names, const Observation &slot, const Verdict &verdict,
                      const Flow &flow) {
    switch (cause) {
        case Cause::kNone:
            text.add(verdict.level == Level::kOk ? "Nothing to do." : "Watch it: the slot has no fault of its own.");
            break;
        case Cause::kConsumerDown:
            text.add("Start the consumer again; if it is gone for good: SELECT pg_drop_replication_slot('%s');",
                     names.slot);
            break;
        case Cause::kConsumerSlow:
            if (verdict.stuck ||
                (slot.walsender && slot.wal_lsn > slot.sent_lsn + static_cast<uint64_t>(kNegligibleBytes))) {
                text.add("The consumer does not take what is sent to it (%s behind): look at it, or at its network.",
                         Bytes(verdict.unconfirmed).text);
            } else {
                text.add("The consumer takes changes and does not confirm them: look at what it writes to.");
            }
            break;
        case Cause::kLongTransaction:
        case Cause::kPreparedTransaction:
            add_transaction_advice(text, names, slot);
            break;
        case Cause::kIdleDatabase:
            text.add(
                "The slot's database is idle and the consumer confirms events only: set "
                "cdc_plugin.guard_heartbeat_interval, or call cdc.heartbeat() there.");
            break;
        case Cause::kCatalogBloat:
            text.add(
                "No WAL is held back, but the system catalogs cannot be vacuumed: catalog_xmin is %lld "
                "transactions old. ",
                static_cast<long long>(slot.catalog_age));
            if (slot.pin_xid != 0) {
                add_transaction_advice(text, names, slot);
            }
            break;
        case Cause::kCapTooSmall:
            text.add(
                "Raise the cap: %s of WAL came within one sampling interval, more than the cap of %s, so the slot "
                "can be lost before anything shows.",
                Bytes(flow.peak_bytes).text, Bytes(verdict.cap).text);
            break;
        case Cause::kSlotLost:
            text.add("The slot cannot be read any more. To recover: SELECT * FROM cdc.runbook('%s');", names.slot);
            break;
    }
}

}  // namespace

void put_advice(char *out, size_t size, const Names &names, const Observation &slot, const Verdict &verdict,
                const Flow &flow) {
    Text text{out, size};
    out[0] = '\0';
    add_cause_advice(text, verdict.cause, names, slot, verdict, flow);
    if (verdict.also != Cause::kNone) {
        text.add(" Then: ");
        add_cause_advice(text, verdict.also, names, slot, verdict, flow);
    }
}

void put_message(char *out, size_t size, const Names &names, const Verdict &verdict, Level previous) {
    Text text{out, size};
    out[0] = '\0';
    text.add("replication slot \"%s\" ", names.slot);
    if (verdict.level == Level::kLost) {
        text.add("is lost");
        return;
    }
    if (verdict.level < previous && verdict.level == Level::kOk) {
        text.add("is out of danger: it ");
    } else if (verdict.level < previous) {
        text.add("is down from level %s to %s: it ", word(previous), word(verdict.level));
    } else {
        text.add("is at level %s: it ", word(verdict.level));
    }
    text.add("retains %s of WAL", Bytes(verdict.retained).text);
    if (verdict.percent >= 0) {
        text.add(", %d %% of its cap", verdict.percent);
    }
}

void put_detail(char *out, size_t size, const Names &names, const Observation &slot, const Verdict &verdict,
                const Flow &flow) {
    Text text{out, size};
    out[0] = '\0';
    text.add("Cause: %s", word(verdict.cause));
    if (verdict.also != Cause::kNone) {
        text.add(" and %s", word(verdict.also));
    }
    if (slot.pin_xid != 0 && blames_transaction(verdict)) {
        text.add(" (");
        add_transaction(text, names, slot);
        text.add(")");
    }
    text.add(".");
    if (verdict.level == Level::kLost) {
        if (flow.peak_bytes > 0) {
            text.add(" Up to %s of WAL came within one sampling interval.", Bytes(flow.peak_bytes).text);
        }
        return;
    }
    text.add(" %s of the WAL is not confirmed.", Bytes(verdict.unconfirmed).text);
    if (verdict.cap_source == CapSource::kDisk) {
        text.add(" The disk has %s left", Bytes(verdict.headroom).text);
    } else if (verdict.cap_source != CapSource::kNone) {
        text.add(" Of its cap of %s (%s) %s is left", Bytes(verdict.cap).text, word(verdict.cap_source),
                 Bytes(verdict.headroom > 0 ? verdict.headroom : 0).text);
    } else {
        return;
    }
    if (verdict.time_to_cap >= 0 && verdict.headroom > 0) {
        text.add(", enough for about %s", Duration(verdict.time_to_cap).text);
    }
    text.add(".");
}

}  // namespace cdc::guard

// SQL-callable functions: how they are declared, and sets that are returned all at once.
#pragma once

#include "boundary.hpp"
#include "postgres.hpp"

#define CDC_FUNCTION(name)     \
    PG_FUNCTION_INFO_V1(name); \
    extern "C" PGDLLEXPORT Datum name(PG_FUNCTION_ARGS)

namespace cdc::pg {

// Prepares rsinfo->setResult and setDesc and returns rsinfo; an ERROR if the caller cannot take a set.
ReturnSetInfo *begin_set(FunctionCallInfo fcinfo, bool scalar);

// One row of a set, filled from left to right. A column that is skipped is NULL.
template <int kColumns>
struct SetRow {
    Datum values[kColumns];
    bool nulls[kColumns];
    int used = 0;

    void add(Datum value) {
        Assert(used < kColumns);
        values[used] = value;
        nulls[used++] = false;
    }
    void add_null() {
        Assert(used < kColumns);
        values[used] = 0;
        nulls[used++] = true;
    }
    void add_if(bool known, Datum value) { known ? add(value) : add_null(); }
    void add_text(const char *text) { add_if(text != nullptr, text == nullptr ? 0 : CStringGetTextDatum(text)); }
    void add_int64(int64 value, bool known = true) { add_if(known, Int64GetDatum(value)); }
    void add_lsn(XLogRecPtr lsn) { add_if(!XLogRecPtrIsInvalid(lsn), LSNGetDatum(lsn)); }
    void add_time(TimestampTz time) { add_if(time != 0, TimestampTzGetDatum(time)); }
    // Microseconds; below 0 is unknown.
    void add_interval(int64 micros) {
        if (micros < 0) {
            add_null();
            return;
        }
        auto *const interval = static_cast<Interval *>(palloc0(sizeof(Interval)));
        interval->time = micros;
        add(IntervalPGetDatum(interval));
    }

    // Every column must have been added.
    void put(ReturnSetInfo *result) {
        Assert(used == kColumns);
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
        used = 0;
    }
};

}  // namespace cdc::pg

// Conversion of text to UTF-8 that never fails with an ERROR.
#include "text.hpp"

namespace cdc::pg {

namespace {

// The conversion function, looked up once in a process: its encoding never changes.
FmgrInfo conversion;
bool has_conversion = false;

bool needs_conversion(int encoding) {
    return encoding != PG_UTF8 && encoding != PG_SQL_ASCII;
}

}  // namespace

void prepare_conversion() {
    const int encoding = GetDatabaseEncoding();
    if (has_conversion || !needs_conversion(encoding)) {
        return;
    }
    const MemoryContext caller = CurrentMemoryContext;
    const bool own_transaction = !IsTransactionState();
    if (own_transaction) {
        StartTransactionCommand();
    }
    const Oid function = FindDefaultConversionProc(encoding, PG_UTF8);
    if (OidIsValid(function)) {
        fmgr_info_cxt(function, &conversion, TopMemoryContext);
        has_conversion = true;
    }
    if (own_transaction) {
        CommitTransactionCommand();
    }
    MemoryContextSwitchTo(caller);
}

bool to_utf8(const char *text, Size size, std::string_view *utf8) {
    *utf8 = std::string_view(text, size);
    if (is_ascii(text, size)) {
        return true;
    }
    const int encoding = GetDatabaseEncoding();
    if (!needs_conversion(encoding)) {
        return pg_verify_mbstr(PG_UTF8, text, static_cast<int>(size), true);
    }
    if (!has_conversion || size >= MaxAllocSize / kUtf8Growth) {
        return false;
    }
    auto *const converted = static_cast<char *>(palloc(size * kUtf8Growth + 1));
    char *const source = pnstrdup(text, size);  // conversions want a NUL at the end
    const int32 done = DatumGetInt32(FunctionCall6(&conversion, Int32GetDatum(encoding), Int32GetDatum(PG_UTF8),
                                                   CStringGetDatum(source), CStringGetDatum(converted),
                                                   Int32GetDatum(static_cast<int32>(size)), BoolGetDatum(true)));
    pfree(source);
    if (done != static_cast<int32>(size)) {
        pfree(converted);
        return false;
    }
    *utf8 = std::string_view(converted, strlen(converted));
    return true;
}

std::string_view name_to_utf8(const char *name) {
    const Size size = strlen(name);
    std::string_view utf8;
    if (to_utf8(name, size, &utf8)) {
        return std::string_view(pnstrdup(utf8.data(), utf8.size()), utf8.size());
    }
    char *const replaced = pnstrdup(name, size);
    for (Size i = 0; i < size; ++i) {
        if ((static_cast<uint8>(replaced[i]) & 0x80) != 0) {
            replaced[i] = '?';
        }
    }
    return std::string_view(replaced, size);
}

wire::RenderOptions render_options() {
    const int encoding = GetDatabaseEncoding();
    return wire::RenderOptions{encoding != PG_UTF8 && encoding != PG_SQL_ASCII, encoding == PG_UTF8, false};
}

}  // namespace cdc::pg

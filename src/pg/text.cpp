// Conversion of text to UTF-8 that never fails with an ERROR.
#include "text.hpp"

namespace cdc::pg {

bool to_utf8(const char *text, Size size, std::string_view *utf8) {
    *utf8 = std::string_view(text, size);
    if (is_ascii(text, size)) {
        return true;
    }
    const int encoding = GetDatabaseEncoding();
    if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII) {
        return pg_verify_mbstr(PG_UTF8, text, static_cast<int>(size), true);
    }
    const Oid conversion = FindDefaultConversionProc(encoding, PG_UTF8);
    if (!OidIsValid(conversion) || size >= MaxAllocSize / kUtf8Growth) {
        return false;
    }
    const Size room = size * kUtf8Growth + 1;
    auto *converted = static_cast<unsigned char *>(palloc(room));
    // The conversion wants its input to end with a NUL and does not write to it.
    char *source = pnstrdup(text, size);
    const int done =
        pg_do_encoding_conversion_buf(conversion, encoding, PG_UTF8, reinterpret_cast<unsigned char *>(source),
                                      static_cast<int>(size), converted, static_cast<int>(room), true);
    pfree(source);
    if (done != static_cast<int>(size)) {
        pfree(converted);
        return false;
    }
    *utf8 = std::string_view(reinterpret_cast<char *>(converted), strlen(reinterpret_cast<char *>(converted)));
    return true;
}

std::string_view name_to_utf8(const char *name) {
    const Size size = strlen(name);
    std::string_view utf8;
    if (to_utf8(name, size, &utf8)) {
        return std::string_view(pnstrdup(utf8.data(), utf8.size()), utf8.size());
    }
    auto *replaced = static_cast<char *>(palloc(size * 3 + 1));
    char *at = replaced;
    for (Size i = 0; i < size; ++i) {
        if ((static_cast<uint8>(name[i]) & 0x80) == 0) {
            *at++ = name[i];
        } else {
            memcpy(at, "\xEF\xBF\xBD", 3);
            at += 3;
        }
    }
    return std::string_view(replaced, static_cast<Size>(at - replaced));
}

wire::RenderOptions render_options() {
    const int encoding = GetDatabaseEncoding();
    return wire::RenderOptions{encoding != PG_UTF8 && encoding != PG_SQL_ASCII, encoding == PG_UTF8};
}

}  // namespace cdc::pg

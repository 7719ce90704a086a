// jsonb to text.
#include "jsonb_text.hpp"

#include "numeric.hpp"

namespace cdc::encode {

namespace {

class Writer {
   public:
    Writer(wire::Buffer &out, Size limit) : out_(out), limit_(limit) {}

    bool container(const JsonbContainer *container) {
        check_stack_depth();
        const uint32 count = JsonContainerSize(container);
        if (JsonContainerIsObject(container)) {
            return object(container, count);
        }
        return array(container, count);
    }

   private:
    bool array(const JsonbContainer *array, uint32 count) {
        const bool scalar = JsonContainerIsScalar(array);
        const char *const data = reinterpret_cast<const char *>(&array->children[count]);
        uint32 offset = 0;
        if (!scalar) {
            put('[');
        }
        for (uint32 i = 0; i < count; ++i) {
            if (i != 0) {
                put(',', ' ');
            }
            const uint32 end = end_of(array->children[i], offset);
            if (!element(array->children[i], data, offset, end)) {
                return false;
            }
            offset = end;
        }
        if (!scalar) {
            put(']');
        }
        return true;
    }

    bool object(const JsonbContainer *object, uint32 count) {
        const char *const data = reinterpret_cast<const char *>(&object->children[2 * count]);
        // All keys lie in front of all values.
        uint32 key_offset = 0;
        uint32 value_offset = 0;
        for (uint32 i = 0; i < count; ++i) {
            value_offset = end_of(object->children[i], value_offset);
        }
        put('{');
        for (uint32 i = 0; i < count; ++i) {
            if (i != 0) {
                put(',', ' ');
            }
            const uint32 key_end = end_of(object->children[i], key_offset);
            if (!string(data + key_offset, key_end - key_offset)) {
                return false;
            }
            key_offset = key_end;
            put(':', ' ');
            const uint32 value_end = end_of(object->children[count + i], value_offset);
            if (!element(object->children[count + i], data, value_offset, value_end)) {
                return false;
            }
            value_offset = value_end;
        }
        put('}');
        return true;
    }

    static uint32 end_of(JEntry entry, uint32 start) {
        return JBE_HAS_OFF(entry) ? JBE_OFFLENFLD(entry) : start + JBE_OFFLENFLD(entry);
    }

    bool element(JEntry entry, const char *data, uint32 offset, uint32 end) {
        if (JBE_ISSTRING(entry)) {
            return string(data + offset, end - offset);
        }
        if (JBE_ISNUMERIC(entry)) {
            const char *const numeric = data + INTALIGN(offset);
            const StoredNumeric opened = open_numeric(VARDATA_ANY(numeric), VARSIZE_ANY_EXHDR(numeric));
            const Size room = numeric_text_room(opened);
            if (!fits(room)) {
                return false;
            }
            out_.advance_to(put_numeric_text(out_.reserve(room), opened));
            return true;
        }
        if (JBE_ISBOOL_TRUE(entry)) {
            word("true", 4);
        } else if (JBE_ISBOOL_FALSE(entry)) {
            word("false", 5);
        } else if (JBE_ISNULL(entry)) {
            word("null", 4);
        } else {
            return container(reinterpret_cast<const JsonbContainer *>(data + INTALIGN(offset)));
        }
        return fits(0);
    }

    // As escape_json() does it; in pieces, so that room for the worst case is asked for a piece at a time.
    bool string(const char *text, Size size) {
        constexpr Size kPiece = 4096;
        constexpr Size kWorst = 6;  // \u001f
        put('"');
        for (Size done = 0; done < size; done += kPiece) {
            const Size piece = Min(kPiece, size - done);
            if (!fits(piece)) {
                return false;
            }
            out_.advance_to(escaped(out_.reserve(piece * kWorst + 8), text + done, piece));
        }
        put('"');
        return fits(0);
    }

    static uint8_t *escaped(uint8_t *at, const char *text, Size size) {
        const char *const end = text + size;
        while (end - text >= 8) {
            uint64 eight;
            memcpy(&eight, text, 8);
            if (!plain(eight)) {
                for (int i = 0; i < 8; ++i) {
                    at = escaped(at, static_cast<uint8>(*text++));
                }
                continue;
            }
            memcpy(at, &eight, 8);
            at += 8;
            text += 8;
        }
        while (text < end) {
            at = escaped(at, static_cast<uint8>(*text++));
        }
        return at;
    }

    // Whether none of eight bytes is below 0x20, a quote or a backslash. May say no without cause, never yes.
    static bool plain(uint64 eight) {
        constexpr uint64 kOnes = UINT64CONST(0x0101010101010101);
        const uint64 quote = eight ^ (kOnes * '"');
        const uint64 backslash = eight ^ (kOnes * '\\');
        const uint64 found = ((eight - kOnes * 0x20) & ~eight) | ((quote - kOnes) & ~quote) |
                             ((backslash - kOnes) & ~backslash);
        return (found & (kOnes * 0x80)) == 0;
    }

    static uint8_t *escaped(uint8_t *at, uint8 c) {
        if (c >= 0x20 && c != '"' && c != '\\') {
            *at++ = c;
            return at;
        }
        *at++ = '\\';
        switch (c) {
            case '"':
            case '\\':
                *at++ = c;
                return at;
            case '\b':
                *at++ = 'b';
                return at;
            case '\f':
                *at++ = 'f';
                return at;
            case '\n':
                *at++ = 'n';
                return at;
            case '\r':
                *at++ = 'r';
                return at;
            case '\t':
                *at++ = 't';
                return at;
            default:
                memcpy(at, "u00", 3);
                at[3] = "0123456789abcdef"[c >> 4];
                at[4] = "0123456789abcdef"[c & 15];
                return at + 5;
        }
    }

    void put(char c) { out_.append(static_cast<uint8_t>(c)); }

    void put(char a, char b) {
        uint8_t *at = out_.reserve(2);
        at[0] = static_cast<uint8_t>(a);
        at[1] = static_cast<uint8_t>(b);
        out_.used += 2;
    }

    void word(const char *text, Size size) { out_.append(text, size); }

    bool fits(Size more) const { return out_.used + more <= limit_; }

    wire::Buffer &out_;
    Size limit_;
};

}  // namespace

bool put_jsonb_text(wire::Buffer &out, const char *root, Size limit) {
    return Writer(out, limit).container(reinterpret_cast<const JsonbContainer *>(root));
}

}  // namespace cdc::encode

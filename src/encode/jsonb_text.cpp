// jsonb to text.
#include "jsonb_text.hpp"

#include "numeric.hpp"

namespace cdc::encode {

namespace {

#ifdef WORDS_BIGENDIAN
constexpr bool kLittleEndian = false;
#else
constexpr bool kLittleEndian = true;
#endif

constexpr uint64 kOnes = UINT64CONST(0x0101010101010101);
constexpr uint64 kHighBits = kOnes * 0x80;

// Has high bits only where one of eight bytes is below 0x20, a quote or a backslash, or behind such a byte.
inline uint64 special_bytes(uint64 eight) {
    const uint64 quote = eight ^ (kOnes * '"');
    const uint64 backslash = eight ^ (kOnes * '\\');
    return (((eight - kOnes * 0x20) & ~eight) | ((quote - kOnes) & ~quote) | ((backslash - kOnes) & ~backslash)) &
           kHighBits;
}

template <typename T>
inline T load_raw(const char *text) {
    T value;
    memcpy(&value, text, sizeof value);
    return value;
}

// Up to seven bytes, filled up with spaces; pieces overlap, and no other byte is read.
inline uint64 load_short(const char *text, Size size) {
    const auto byte = [&](Size i) { return static_cast<uint64>(static_cast<uint8>(text[i])) << (8 * i); };
    uint64 bytes = 0;
    if (size >= 4) {
        bytes = load_raw<uint32>(text) | static_cast<uint64>(load_raw<uint32>(text + size - 4)) << (8 * (size - 4));
    } else if (size != 0) {
        bytes = byte(0) | byte(size / 2) | byte(size - 1);
    }
    return bytes | (kOnes * ' ') << (8 * size);
}

// Copies a string that needs no escapes; false, with some of it written, if it does need them. Writes up to eight
// bytes more than the string has.
inline bool copy_plain(uint8_t *at, const char *text, Size size) {
    static_assert(kLittleEndian, "load_short() puts the bytes of a word together as a little-endian machine does");
    if (size < 8) {
        const uint64 bytes = load_short(text, size);
        memcpy(at, &bytes, 8);
        return special_bytes(bytes) == 0;
    }
    const auto last = load_raw<uint64>(text + size - 8);
    uint64 special = special_bytes(last);
    for (Size i = 0; i + 8 < size; i += 8) {
        const auto bytes = load_raw<uint64>(text + i);
        special |= special_bytes(bytes);
        memcpy(at + i, &bytes, 8);
    }
    memcpy(at + size - 8, &last, 8);
    return special == 0;
}

inline uint8_t *put_escaped(uint8_t *at, uint8 c) {
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

// The place to write travels through the functions in a register; nullptr means that the limit is reached. Each
// function is entered and left with kSlack bytes reserved, which is more than what stands between two values takes.
class Writer {
 public:
    static constexpr Size kSlack = 64;
    static constexpr int kMaxDepth = 500;

    Writer(wire::Buffer &out, Size limit) : out_(out), limit_(limit) {}

    bool too_deep() const { return too_deep_; }

    uint8_t *container(uint8_t *at, const JsonbContainer *container) {
        const uint32 count = JsonContainerSize(container);
        if (JsonContainerIsObject(container)) {
            return object(at, container, count);
        }
        return array(at, container, count);
    }

 private:
    uint8_t *array(uint8_t *at, const JsonbContainer *array, uint32 count) {
        const bool scalar = JsonContainerIsScalar(array);
        const char *const data = reinterpret_cast<const char *>(&array->children[count]);
        uint32 offset = 0;
        if (!scalar) {
            *at++ = '[';
        }
        for (uint32 i = 0; i < count; ++i) {
            if (i != 0) {
                memcpy(at, ", ", 2);
                at += 2;
            }
            const uint32 end = end_of(array->children[i], offset);
            at = element(at, array->children[i], data, offset, end);
            if (unlikely(at == nullptr)) {
                return nullptr;
            }
            offset = end;
        }
        if (!scalar) {
            *at++ = ']';
        }
        return room(at, 0);
    }

    uint8_t *object(uint8_t *at, const JsonbContainer *object, uint32 count) {
        const JEntry *const keys = object->children;
        const JEntry *const values = keys + count;
        const char *const data = reinterpret_cast<const char *>(values + count);
        // All keys lie in front of all values.
        uint32 key_offset = 0;
        uint32 value_offset = 0;
        for (uint32 i = 0; i < count; ++i) {
            value_offset = end_of(keys[i], value_offset);
        }
        *at++ = '{';
        for (uint32 i = 0; i < count; ++i) {
            if (i != 0) {
                memcpy(at, ", ", 2);
                at += 2;
            }
            const uint32 key_end = end_of(keys[i], key_offset);
            at = string(at, data + key_offset, key_end - key_offset);
            if (unlikely(at == nullptr)) {
                return nullptr;
            }
            key_offset = key_end;
            memcpy(at, ": ", 2);
            at += 2;
            const uint32 value_end = end_of(values[i], value_offset);
            at = element(at, values[i], data, value_offset, value_end);
            if (unlikely(at == nullptr)) {
                return nullptr;
            }
            value_offset = value_end;
        }
        *at++ = '}';
        return room(at, 0);
    }

    static uint32 end_of(JEntry entry, uint32 start) {
        return JBE_HAS_OFF(entry) ? JBE_OFFLENFLD(entry) : start + JBE_OFFLENFLD(entry);
    }

    uint8_t *element(uint8_t *at, JEntry entry, const char *data, uint32 offset, uint32 end) {
        switch (entry & JENTRY_TYPEMASK) {
            case JENTRY_ISSTRING:
                return string(at, data + offset, end - offset);
            case JENTRY_ISNUMERIC:
                return number(at, data + INTALIGN(offset));
            case JENTRY_ISBOOL_TRUE:
                memcpy(at, "true", 4);
                return room(at + 4, 0);
            case JENTRY_ISBOOL_FALSE:
                memcpy(at, "false", 5);
                return room(at + 5, 0);
            case JENTRY_ISNULL:
                memcpy(at, "null", 4);
                return room(at + 4, 0);
            default:
                if (depth_ == kMaxDepth) {
                    too_deep_ = true;
                    return nullptr;
                }
                ++depth_;
                at = container(at, reinterpret_cast<const JsonbContainer *>(data + INTALIGN(offset)));
                --depth_;
                return at;
        }
    }

    uint8_t *number(uint8_t *at, const char *stored) {
        const StoredNumeric numeric = open_numeric(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
        at = room(at, numeric_text_room(numeric));
        return unlikely(at == nullptr) ? nullptr : room(put_numeric_text(at, numeric), 0);
    }

    // As escape_json() does it.
    uint8_t *string(uint8_t *at, const char *text, Size size) {
        at = room(at, size);
        if (unlikely(at == nullptr)) {
            return nullptr;
        }
        *at++ = '"';
        if (likely(copy_plain(at, text, size))) {
            at += size;
        } else {
            // In pieces, so that room for the worst case is asked for a piece at a time.
            constexpr Size kPiece = 4096;
            constexpr Size kWorst = 6;  // \u001f
            for (Size done = 0; done < size; done += kPiece) {
                const Size piece = Min(kPiece, size - done);
                at = room(at, piece * kWorst);
                if (at == nullptr) {
                    return nullptr;
                }
                for (Size i = 0; i < piece; ++i) {
                    at = put_escaped(at, static_cast<uint8>(text[done + i]));
                }
            }
        }
        *at++ = '"';
        return room(at, 0);
    }

    // `size` and kSlack bytes behind `at`.
    uint8_t *room(uint8_t *at, Size size) {
        const auto left = static_cast<Size>(out_.data + out_.capacity - at);
        return likely(left >= size + kSlack && left <= out_.capacity) ? at : more_room(at, size);
    }

    pg_noinline uint8_t *more_room(uint8_t *at, Size size) {
        out_.advance_to(at);
        return out_.used + size > limit_ ? nullptr : out_.reserve(size + kSlack);
    }

    wire::Buffer &out_;
    Size limit_;
    int depth_ = 0;
    bool too_deep_ = false;
};

}  // namespace

JsonbText put_jsonb_text(wire::Buffer &out, const char *root, Size limit) {
    Writer writer(out, limit);
    uint8_t *const end = writer.container(out.reserve(Writer::kSlack), reinterpret_cast<const JsonbContainer *>(root));
    if (end == nullptr) {
        return writer.too_deep() ? JsonbText::kTooDeep : JsonbText::kTooLarge;
    }
    out.advance_to(end);
    return out.used <= limit ? JsonbText::kDone : JsonbText::kTooLarge;
}

}  // namespace cdc::encode

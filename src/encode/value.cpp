// Stored values to wire values.
#include "value.hpp"

#include "fixed_value.hpp"
#include "jsonb_text.hpp"
#include "numeric.hpp"
#include "settings.hpp"

#include "../pg/compat.hpp"
#include "../pg/owner.hpp"
#include "../pg/text.hpp"
#include "../wire/value.hpp"

namespace cdc::encode {

namespace {

// A varlena's payload.
struct Payload {
    const char *data;
    Size size;
    bool aligned;  // data - VARHDRSZ is a plain varlena, aligned as its type wants it
};

// Room for what stays small and yet must be aligned: a short varlena's payload with a full header in front.
struct AlignedCopy {
    alignas(8) char bytes[VARHDRSZ + VARATT_SHORT_MAX + 1];
};

const varlena *as_varlena(const char *stored) {
    return reinterpret_cast<const varlena *>(stored);
}

// Neither out of line nor compressed. (An out-of-line pointer looks like a short varlena at first sight.)
bool is_plain(const char *stored) {
    return VARATT_IS_4B_U(stored) || (VARATT_IS_SHORT(stored) && !VARATT_IS_EXTERNAL(stored));
}

Payload open_plain(const char *stored) {
    if (VARATT_IS_SHORT(stored)) {
        return Payload{VARDATA_SHORT(const_cast<char *>(stored)), VARSIZE_SHORT(stored) - VARHDRSZ_SHORT, false};
    }
    return Payload{VARDATA(const_cast<char *>(stored)), VARSIZE(stored) - VARHDRSZ, true};
}

// The payload with a plain varlena header in front of it and aligned to 4 bytes, as jsonb and arrays are read.
const char *aligned_varlena(const Payload &payload, AlignedCopy &copy) {
    if (payload.aligned) {
        return payload.data - VARHDRSZ;
    }
    memcpy(copy.bytes + VARHDRSZ, payload.data, payload.size);
    SET_VARSIZE(copy.bytes, payload.size + VARHDRSZ);
    return copy.bytes;
}

bool fits(const Encoder &encoder, Size size) {
    return size <= encoder.limit && encoder.out->used <= encoder.limit - size;
}

template <uint32_t field>
bool encode_bytes(Encoder &encoder, uint8_t element, const char *bytes, Size size) {
    if (!fits(encoder, size)) {
        return false;
    }
    uint8_t *at = encoder.out->reserve(wire::kBytesValueRoom + size);
    encoder.out->advance_to(wire::put_bytes_value<field>(at, element, bytes, size));
    return true;
}

// Text in the server's encoding that may not even be valid there.
template <uint32_t field>
bool encode_doubtful_text(Encoder &encoder, uint8_t element, const char *text, Size size) {
    if (!fits(encoder, encoder.utf8 ? size : size * pg::kUtf8Growth)) {
        return false;
    }
    std::string_view utf8;
    encoder.scratch_used = true;
    const MemoryContext caller = MemoryContextSwitchTo(encoder.scratch);
    const bool converted = pg::to_utf8(text, size, &utf8);
    MemoryContextSwitchTo(caller);
    const bool sent = converted ? encode_bytes<field>(encoder, element, utf8.data(), utf8.size())
                                : encode_bytes<wire::value::undecoded_text>(encoder, element, text, size);
    if (utf8.data() != text) {
        pfree(const_cast<char *>(utf8.data()));  // an array may have very many
    }
    return sent;
}

// Text in the server's encoding, as the server checked it when it came in.
template <uint32_t field>
bool encode_text(Encoder &encoder, uint8_t element, const char *text, Size size) {
    return encoder.utf8 || pg::is_ascii(text, size) ? encode_bytes<field>(encoder, element, text, size)
                                                    : encode_doubtful_text<field>(encoder, element, text, size);
}

bool encode_numeric(Encoder &encoder, uint8_t element, const Payload &payload) {
    const StoredNumeric numeric = open_numeric(payload.data, payload.size);
    const Size room = numeric_text_room(numeric);
    if (!fits(encoder, room)) {
        return false;
    }
    uint8_t *const at = encoder.out->reserve(room + wire::kBytesValueRoom);
    uint8_t *const text = at + wire::kBytesGap;
    const auto size = static_cast<Size>(put_numeric_text(text, numeric) - text);
    encoder.out->advance_to(wire::close_bytes_value(at, element, wire::value::numeric, size));
    return true;
}

// What an output function prints (without one, the text of a jsonb), in the scratch context; nullptr if it is too large
// or too deep for it. Elsewhere such an ERROR would end a query; here it would come again at each attempt and stop the
// slot for ever, and a snapshot of the table could never be had. What the function leaves open is released here if
// there is an owner for it, and else when the decoding transaction aborts, as it always does.
const char *print(Encoder &encoder, FmgrInfo *output, Datum datum) {
    const MemoryContext caller = MemoryContextSwitchTo(encoder.scratch);
    const ResourceOwner caller_owner = CurrentResourceOwner;
    encoder.scratch_used = true;
    char *volatile text = nullptr;
    if (encoder.owner != nullptr) {
        CurrentResourceOwner = encoder.owner;
    }
    PG_TRY();
    {
        if (output != nullptr) {
            text = OutputFunctionCall(output, datum);
        } else {
            Jsonb *const jsonb = DatumGetJsonbP(datum);
            text = JsonbToCString(nullptr, &jsonb->root, VARSIZE(jsonb));
        }
    }
    PG_CATCH();
    {
        CurrentResourceOwner = caller_owner;
        MemoryContextSwitchTo(encoder.scratch);
        ErrorData *const error = CopyErrorData();
        const bool too_much = error->sqlerrcode == ERRCODE_PROGRAM_LIMIT_EXCEEDED ||
                              error->sqlerrcode == ERRCODE_STATEMENT_TOO_COMPLEX ||
                              error->sqlerrcode == ERRCODE_OUT_OF_MEMORY ||
                              error->sqlerrcode == ERRCODE_INTERNAL_ERROR;  // "invalid memory alloc request size"
        if (!too_much) {
            PG_RE_THROW();
        }
        FreeErrorData(error);
        FlushErrorState();
        if (encoder.owner != nullptr) {
            encoder.owner = pg::replace_owner(encoder.owner);
        }
        text = nullptr;
    }
    PG_END_TRY();
    CurrentResourceOwner = caller_owner;
    MemoryContextSwitchTo(caller);
    return text;
}

// The text of print(), as a value; false if there is none or it does not fit.
template <uint32_t field>
bool encode_printed(Encoder &encoder, uint8_t element, FmgrInfo *output, Datum datum) {
    const char *const text = print(encoder, output, datum);
    if (text == nullptr) {
        return false;
    }
    const bool sent = encode_doubtful_text<field>(encoder, element, text, strlen(text));
    pfree(const_cast<char *>(text));  // an array may have very many
    return sent;
}

bool encode_jsonb(Encoder &encoder, uint8_t element, const Payload &payload) {
    AlignedCopy copy;
    wire::Buffer &out = *encoder.out;
    const Size start = out.used;
    out.reserve(wire::kBytesValueRoom);
    out.used += wire::kBytesGap;
    const char *const jsonb = aligned_varlena(payload, copy);
    switch (put_jsonb_text(out, jsonb + VARHDRSZ, encoder.limit)) {
        case JsonbText::kDone:
            break;
        case JsonbText::kTooLarge:
            return false;
        case JsonbText::kTooDeep:
            out.used = start;
            return encode_printed<wire::value::json>(encoder, element, nullptr, PointerGetDatum(jsonb));
    }
    const Size size = out.used - start - wire::kBytesGap;
    out.reserve(wire::kBytesValueRoom);
    uint8_t *const at = out.data + start;
    if (!encoder.utf8 && !pg::is_ascii(reinterpret_cast<char *>(at) + wire::kBytesGap, size)) {
        encoder.scratch_used = true;
        auto *const text = static_cast<char *>(MemoryContextAlloc(encoder.scratch, size));
        memcpy(text, at + wire::kBytesGap, size);
        out.used = start;
        return encode_text<wire::value::json>(encoder, element, text, size);
    }
    out.advance_to(wire::close_bytes_value(at, element, wire::value::json, size));
    return true;
}

bool encode_form(Encoder &encoder, uint8_t element, const Codec &codec, const char *stored, const Payload &payload);

// An element of an array: plain, or of fixed size.
bool encode_element(Encoder &encoder, uint8_t element, const Codec &codec, const char *stored) {
    if (codec.length == -1) {
        if (is_plain(stored)) {
            return encode_form(encoder, element, codec, stored, open_plain(stored));
        }
        encoder.scratch_used = true;
        const MemoryContext caller = MemoryContextSwitchTo(encoder.scratch);
        varlena *const fetched = detoast_attr(const_cast<varlena *>(as_varlena(stored)));
        MemoryContextSwitchTo(caller);
        const auto *const plain = reinterpret_cast<const char *>(fetched);
        const bool sent = encode_form(encoder, element, codec, plain, open_plain(plain));
        pfree(fetched);
        return sent;
    }
    return encode_form(encoder, element, codec, stored, Payload{stored, 0, true});
}

bool encode_array(Encoder &encoder, uint8_t element, const Codec &codec, const Payload &payload) {
    check_stack_depth();  // domains over arrays nest
    AlignedCopy copy;
    const auto *const array = reinterpret_cast<const ArrayType *>(aligned_varlena(payload, copy));
    const Codec &inner = *codec.element;
    wire::Buffer &out = *encoder.out;

    const int dimensions = ARR_NDIM(array);
    const int *const lengths = ARR_DIMS(array);
    const int *const lower_bounds = ARR_LBOUND(array);
    // Three bytes to four for each element are usual; a wrong guess costs a move.
    const Size expected_size = payload.size + payload.size / 2;
    const wire::Nested value = wire::begin_nested(out, element >> 3, expected_size);
    const wire::Nested body = wire::begin_nested(out, wire::value::array, expected_size);
    const int count = ArrayGetNItems(dimensions, lengths);
    if (count > 0) {
        const wire::Nested list = wire::begin_nested(out, wire::array::dimensions, 1);
        bool all_one = true;
        for (int i = 0; i < dimensions; ++i) {
            out.advance_to(wire::put_varint(out.reserve(wire::kMaxVarint), static_cast<uint32_t>(lengths[i])));
            all_one = all_one && lower_bounds[i] == 1;
        }
        wire::end_nested(out, list);
        if (!all_one) {
            const wire::Nested bounds = wire::begin_nested(out, wire::array::lower_bounds, 1);
            for (int i = 0; i < dimensions; ++i) {
                out.advance_to(wire::put_varint(out.reserve(wire::kMaxVarint), wire::zigzag(lower_bounds[i])));
            }
            wire::end_nested(out, bounds);
        }
    }
    const bits8 *const nulls = ARR_NULLBITMAP(array);
    const char *at = ARR_DATA_PTR(array);
    constexpr uint8_t kElement = wire::element_tag(wire::array::elements);
    for (int i = 0; i < count; ++i) {
        if ((i & 0xFFF) == 0) {
            CHECK_FOR_INTERRUPTS();
        }
        if (!fits(encoder, wire::kFixedValueRoom)) {
            return false;
        }
        if (nulls != nullptr && (nulls[i >> 3] & (1 << (i & 7))) == 0) {
            out.advance_to(wire::put_absent(out.reserve(wire::kFixedValueRoom), kElement, wire::Absent::kNull));
            continue;
        }
        if (inner.length == -1) {
            at = reinterpret_cast<const char *>(VARATT_NOT_PAD_BYTE(at)
                                                    ? reinterpret_cast<uintptr_t>(at)
                                                    : TYPEALIGN(inner.align, reinterpret_cast<uintptr_t>(at)));
        } else {
            at = reinterpret_cast<const char *>(TYPEALIGN(inner.align, reinterpret_cast<uintptr_t>(at)));
        }
        if (!encode_element(encoder, kElement, inner, at)) {
            return false;
        }
        at += inner.length > 0     ? static_cast<Size>(inner.length)
              : inner.length == -1 ? VARSIZE_ANY(at)
                                   : strlen(at) + 1;
    }
    wire::end_nested(out, body);
    wire::end_nested(out, value);
    return true;
}

// A value of a type without a form of its own: what its output function prints.
bool encode_other(Encoder &encoder, uint8_t element, const Codec &codec, const char *stored) {
    if (!encoder.pinned) {
        pin_settings();
        encoder.pinned = true;
    }
    const Datum datum = codec.by_value ? fetch_att(stored, true, codec.length) : PointerGetDatum(stored);
    return encode_printed<wire::value::other_text>(encoder, element, codec.output, datum);
}

bool encode_form(Encoder &encoder, uint8_t element, const Codec &codec, const char *stored, const Payload &payload) {
    switch (codec.form) {
        case Form::kText:
            return encode_text<wire::value::text>(encoder, element, payload.data, payload.size);
        case Form::kJson:
            return encode_text<wire::value::json>(encoder, element, payload.data, payload.size);
        case Form::kBytea:
            return encode_bytes<wire::value::bytea>(encoder, element, payload.data, payload.size);
        case Form::kNumeric:
            return encode_numeric(encoder, element, payload);
        case Form::kJsonb:
            return encode_jsonb(encoder, element, payload);
        case Form::kArray:
            return encode_array(encoder, element, codec, payload);
        case Form::kOther:
            return encode_other(encoder, element, codec, stored);
        case Form::kName:
            return encode_text<wire::value::text>(encoder, element, stored, strnlen(stored, NAMEDATALEN));
        case Form::kEnum: {
            bool utf8;
            const std::string_view label = enum_label(encoder.labels, load<Oid>(stored), &utf8);
            return utf8 ? encode_bytes<wire::value::text>(encoder, element, label.data(), label.size())
                        : encode_bytes<wire::value::undecoded_text>(encoder, element, label.data(), label.size());
        }
        default:
            encoder.out->advance_to(
                put_fixed_value(encoder.out->reserve(wire::kFixedValueRoom), element, codec.form, stored));
            return true;
    }
}

// Size of the value that a varlena stands for, without fetching or decompressing it.
Size plain_size(const char *stored) {
    return toast_raw_datum_size(PointerGetDatum(stored)) - VARHDRSZ;
}

}  // namespace

void encode_value(Encoder &encoder, uint8_t element, const Codec &codec, const char *stored) {
    wire::Buffer &out = *encoder.out;
    const Size start = out.used;
    Size size = 0;
    bool sent = true;

    if (codec.length != -1) {
        sent = encode_form(encoder, element, codec, stored, Payload{stored, 0, true});
    } else {
        if (VARATT_IS_EXTERNAL_ONDISK(stored) && !encoder.fetch) {
            out.advance_to(
                wire::put_absent(out.reserve(wire::kFixedValueRoom), element, wire::Absent::kUnchangedToast));
            return;
        }
        const bool plain = is_plain(stored);
        size = plain ? VARSIZE_ANY_EXHDR(stored) : plain_size(stored);
        if (size > encoder.max_value_bytes || !fits(encoder, 0)) {
            sent = false;
        } else if (plain) {
            sent = encode_form(encoder, element, codec, stored, open_plain(stored));
        } else {
            encoder.scratch_used = true;
            const MemoryContext caller = MemoryContextSwitchTo(encoder.scratch);
            varlena *const fetched = detoast_attr(const_cast<varlena *>(as_varlena(stored)));
            MemoryContextSwitchTo(caller);
            const auto *const bytes = reinterpret_cast<const char *>(fetched);
            sent = encode_form(encoder, element, codec, bytes, open_plain(bytes));
            pfree(fetched);
        }
    }
    if (!sent) {
        out.used = start;
        out.advance_to(wire::put_too_large(out.reserve(wire::kFixedValueRoom), element, size));
    }
}

}  // namespace cdc::encode

// The walk over a tuple: alignment, NULLs and columns added since, one value after the other, no arrays of Datums.
#include "tuple.hpp"

#include "fixed_value.hpp"
#include "numeric.hpp"
#include "value.hpp"

#include "../wire/value.hpp"

namespace cdc::encode {

namespace {

constexpr Size kShortNumeric = 126;  // room that most numbers fit in

// A column that the tuple is too old to have: its value is the one that ADD COLUMN gave all rows.
void encode_missing(Encoder &encoder, uint8_t element, const Codec &codec, TupleDesc descriptor, int index) {
    bool is_null;
    const Datum datum = getmissingattr(descriptor, index + 1, &is_null);
    if (is_null) {
        uint8_t *at = encoder.out->reserve(wire::kFixedValueRoom);
        encoder.out->advance_to(wire::put_absent(at, element, wire::Absent::kNull));
    } else if (codec.by_value) {
        alignas(Datum) char stored[sizeof(Datum)];
        store_att_byval(stored, datum, codec.length);
        encode_value(encoder, element, codec, stored);
    } else {
        encode_value(encoder, element, codec, DatumGetPointer(datum));
    }
}

// A value that is the same in the old and in the new row is encoded once. Equal stored bytes mean an equal value; the
// reverse does not matter.
void encode_costly(Encoder &encoder, uint8_t element, const Codec &codec, const char *stored, Memo &memo) {
    wire::Buffer &out = *encoder.out;
    const Size stored_size = VARSIZE_ANY(stored);
    if (memo.change == encoder.change && memo.stored_size == stored_size &&
        out.used + memo.element_size <= encoder.limit && memcmp(memo.stored, stored, stored_size) == 0) {
        uint8_t *const at = out.reserve(memo.element_size);
        memcpy(at, out.data + memo.element_at, memo.element_size);
        *at = element;
        out.used += memo.element_size;
        return;
    }
    const Size start = out.used;
    encode_value(encoder, element, codec, stored);
    memo = Memo{encoder.change, stored, stored_size, start, out.used - start};
}

}  // namespace

void encode_tuple(Encoder &encoder, uint8_t element, const RelationLayout &layout, TupleDesc descriptor,
                  HeapTuple tuple, bool key_only) {
    const HeapTupleHeader header = tuple->t_data;
    const bits8 *const nulls = HeapTupleHasNulls(tuple) ? header->t_bits : nullptr;
    const char *const data = reinterpret_cast<const char *>(header) + header->t_hoff;
    const int stored_count = Min(static_cast<int>(HeapTupleHeaderGetNatts(header)), layout.attribute_count);
    wire::Buffer &out = *encoder.out;
    uint8_t *at = out.reserve(layout.fixed_room);
    uintptr_t offset = 0;

    int i = 0;
    for (; i < stored_count; ++i) {
        const Attribute &attribute = layout.attributes[i];
        const Codec &codec = attribute.codec;
        if (nulls != nullptr && att_isnull(i, nulls)) {
            if (attribute.sent) {
                const bool unknown = key_only && !attribute.in_identity;
                at = wire::put_absent(at, element, unknown ? wire::Absent::kNotInReplicaIdentity : wire::Absent::kNull);
            }
            continue;
        }
        // An unaligned varlena starts with a nonzero byte, padding is zero.
        if (codec.length != -1 || !VARATT_NOT_PAD_BYTE(data + offset)) {
            offset = TYPEALIGN(codec.align, offset);
        }
        const char *const stored = data + offset;
        offset += codec.length > 0     ? static_cast<uintptr_t>(codec.length)
                  : codec.length == -1 ? VARSIZE_ANY(stored)
                                       : strlen(stored) + 1;
        if (!attribute.sent) {
            continue;
        }
        if (key_only && !attribute.in_identity) {
            at = wire::put_absent(at, element, wire::Absent::kNotInReplicaIdentity);
            continue;
        }
        if (codec.length > 0 && codec.form < Form::kName) {
            at = put_fixed_value(at, element, codec.form, stored);
            continue;
        }
        // The commonest values of variable length, without the way through encode_value().
        if (VARATT_IS_SHORT(stored) && !VARATT_IS_EXTERNAL(stored)) {
            const Size size = VARSIZE_SHORT(stored) - VARHDRSZ_SHORT;
            const char *const payload = stored + VARHDRSZ_SHORT;
            if (size > encoder.max_value_bytes) {
                // The general way says so.
            } else if (codec.form == Form::kText && encoder.utf8) {
                out.advance_to(at);
                at = out.reserve(layout.fixed_room + wire::kBytesValueRoom + size);
                at = wire::put_bytes_value<wire::value::text>(at, element, payload, size);
                continue;
            } else if (codec.form == Form::kNumeric) {
                const StoredNumeric numeric = open_numeric(payload, size);
                const Size room = numeric_text_room(numeric);
                if (room < kShortNumeric) {
                    out.advance_to(at);
                    at = out.reserve(layout.fixed_room + wire::kBytesValueRoom + kShortNumeric);
                    uint8_t *const text = at + wire::kBytesGap;
                    const auto text_size = static_cast<Size>(put_numeric_text(text, numeric) - text);
                    at = wire::close_bytes_value(at, element, wire::value::numeric, text_size);
                    continue;
                }
            }
        }
        out.advance_to(at);
        if (attribute.memo != nullptr) {
            encode_costly(encoder, element, codec, stored, *attribute.memo);
        } else {
            encode_value(encoder, element, codec, stored);
        }
        at = out.reserve(layout.fixed_room);
    }
    out.advance_to(at);

    for (; i < layout.attribute_count; ++i) {
        const Attribute &attribute = layout.attributes[i];
        if (!attribute.sent) {
            continue;
        }
        if (key_only && !attribute.in_identity) {
            at = out.reserve(wire::kFixedValueRoom);
            out.advance_to(wire::put_absent(at, element, wire::Absent::kNotInReplicaIdentity));
        } else {
            encode_missing(encoder, element, attribute.codec, descriptor, i);
        }
    }
}

bool has_unchanged_toast(HeapTuple tuple) {
    return HeapTupleHasExternal(tuple);
}

}  // namespace cdc::encode

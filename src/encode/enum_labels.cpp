// The cache of enum labels.
#include "enum_labels.hpp"

#include "../pg/text.hpp"

namespace cdc::encode {

namespace {

constexpr Size kMaxLabel = NAMEDATALEN * pg::kUtf8Growth;
constexpr long kMaxLabels = 10000;  // then all are forgotten, so that memory stays bounded

struct Label {
    Oid value;  // hash key
    bool utf8;
    uint16 size;
    char text[kMaxLabel];
};

}  // namespace

struct EnumLabels {
    MemoryContext context;
    HTAB *by_oid;  // nullptr until a label is needed
    bool stale;
};

EnumLabels *make_enum_labels(MemoryContext context) {
    auto *const labels = static_cast<EnumLabels *>(MemoryContextAllocZero(context, sizeof(EnumLabels)));
    labels->context = context;
    return labels;
}

void forget_enum_labels(EnumLabels *labels) {
    labels->stale = true;
}

std::string_view enum_label(EnumLabels *labels, Oid value, bool *utf8) {
    if (labels->by_oid != nullptr && (labels->stale || hash_get_num_entries(labels->by_oid) >= kMaxLabels)) {
        hash_destroy(labels->by_oid);
        labels->by_oid = nullptr;
    }
    labels->stale = false;
    if (labels->by_oid == nullptr) {
        HASHCTL control{};
        control.keysize = sizeof(Oid);
        control.entrysize = sizeof(Label);
        control.hcxt = labels->context;
        labels->by_oid = hash_create("cdc_plugin enum labels", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    }
    auto *label = static_cast<Label *>(hash_search(labels->by_oid, &value, HASH_FIND, nullptr));
    if (label == nullptr) {
        // Look up first, enter then: an ERROR must not leave an entry without a label.
        const HeapTuple tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
        NameData name{};
        if (HeapTupleIsValid(tuple)) {
            name = reinterpret_cast<Form_pg_enum>(GETSTRUCT(tuple))->enumlabel;
            ReleaseSysCache(tuple);
        } else {
            // Somebody deleted it from pg_enum. Its OID says more than an ERROR that stops the slot.
            snprintf(NameStr(name), NAMEDATALEN, "%u", value);
        }
        std::string_view text;
        const bool converted = pg::to_utf8(NameStr(name), strlen(NameStr(name)), &text) && HeapTupleIsValid(tuple);
        label = static_cast<Label *>(hash_search(labels->by_oid, &value, HASH_ENTER, nullptr));
        label->utf8 = converted;
        label->size = static_cast<uint16>(Min(text.size(), kMaxLabel));
        memcpy(label->text, text.data(), label->size);
    }
    *utf8 = label->utf8;
    return std::string_view(label->text, label->size);
}

}  // namespace cdc::encode

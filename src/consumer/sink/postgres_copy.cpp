#include "postgres_copy.hpp"

#include "../model/failure.hpp"
#include "../model/value_text.hpp"

#include <algorithm>
#include <utility>

namespace cdc::consumer {

namespace {

constexpr int32_t kNullField = -1;
constexpr int16_t kEndOfRows = -1;

void put_escaped(wire::Buffer &out, std::string_view text) {
    uint8_t *at = out.reserve(2 * text.size());
    for (const char c : text) {
        char letter = 0;
        switch (c) {
            case '\\':
                letter = '\\';
                break;
            case '\t':
                letter = 't';
                break;
            case '\n':
                letter = 'n';
                break;
            case '\r':
                letter = 'r';
                break;
            default:
                *at++ = static_cast<uint8_t>(c);
                continue;
        }
        *at++ = '\\';
        *at++ = static_cast<uint8_t>(letter);
    }
    out.advance_to(at);
}

}  // namespace

CopyEncoder::CopyEncoder(std::vector<BinaryForm> forms, std::optional<uint32_t> partition)
    : forms_(std::move(forms)),
      partition_(partition),
      binary_(std::find(forms_.begin(), forms_.end(), BinaryForm::kNone) == forms_.end()) {}

void CopyEncoder::begin() {
    if (binary_) {
        out_.append("PGCOPY\n\377\r\n", 11);  // with its NUL
        put_int32(out_, 0);                   // flags
        put_int32(out_, 0);                   // length of an extension of the header
    }
}

void CopyEncoder::end() {
    if (binary_) {
        put_int16(out_, kEndOfRows);
    }
}

void CopyEncoder::row(const Relation &relation, const Row &row) {
    if (row.size() != forms_.size()) {
        throw CorruptStream("row of " + relation.table.text() + " that does not fit its relation");
    }
    for (size_t i = 0; i < row.size(); ++i) {
        require_value(relation, i, row[i]);
    }
    if (binary_) {
        put_binary_row(relation, row);
    } else {
        put_text_row(relation, row);
    }
}

void CopyEncoder::put_binary_row(const Relation &relation, const Row &row) {
    put_int16(out_, static_cast<int16_t>(row.size() + (partition_ ? 1 : 0)));
    for (size_t i = 0; i < row.size(); ++i) {
        if (is_null(row[i])) {
            put_int32(out_, kNullField);
        } else if (!put_binary_field(out_, forms_[i], row[i])) {
            if (forms_[i] != BinaryForm::kText) {
                throw Failure("value of a kind that its column at the target cannot have (column " +
                              std::to_string(i + 1) + ")");
            }
            text_.clear();
            append_text(text_, row[i], relation.columns[i].value_type());
            put_int32(out_, static_cast<int32_t>(text_.size()));
            out_.append(text_.data(), text_.size());
        }
    }
    if (partition_) {
        put_int32(out_, 4);
        put_int32(out_, static_cast<int32_t>(*partition_));
    }
}

void CopyEncoder::put_text_row(const Relation &relation, const Row &row) {
    for (size_t i = 0; i < row.size(); ++i) {
        if (i != 0) {
            out_.append('\t');
        }
        if (is_null(row[i])) {
            out_.append("\\N", 2);
        } else {
            text_.clear();
            append_text(text_, row[i], relation.columns[i].value_type());
            put_escaped(out_, text_);
        }
    }
    if (partition_) {
        if (!row.empty()) {
            out_.append('\t');
        }
        text_ = std::to_string(*partition_);
        out_.append(text_.data(), text_.size());
    }
    out_.append('\n');
}

void require_value(const Relation &relation, size_t column, const wire::ValueView &value) {
    if (is_known(value)) {
        return;
    }
    const std::string name = relation.table.text() + '.' + relation.columns[column].name;
    if (value.kind == wire::value::too_large_bytes) {
        throw Failure("a value of " + name + " is too large to be sent (" + std::to_string(value.payload.number_value) +
                          " bytes)",
                      "Leave the table out, or make the value smaller and copy anew.");
    }
    throw CorruptStream("a row has no value for " + name);
}

}  // namespace cdc::consumer

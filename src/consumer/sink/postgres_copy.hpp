// Rows as the data of COPY FROM STDIN: binary where all columns have a binary form, text otherwise. Needs no server.
#pragma once

#include "growing_buffer.hpp"
#include "postgres_value.hpp"

#include "../model/row.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cdc::consumer {

class CopyEncoder {
 public:
    // `forms`: of the relation's columns at the target. `partition`: the value of a last column, kPartitionColumn.
    CopyEncoder(std::vector<BinaryForm> forms, std::optional<uint32_t> partition);

    // For COPY's option FORMAT.
    const char *format() const { return binary_ ? "binary" : "text"; }

    void begin();
    // Throws CorruptStream, and Failure for values that are not there in full.
    void row(const Relation &relation, const Row &row);
    void end();

    // What is to be sent; clear() when it was.
    std::string_view data() const { return {out_.chars(), out_.used}; }
    void clear() { out_.used = 0; }

 private:
    void put_binary_row(const Relation &relation, const Row &row);
    void put_text_row(const Relation &relation, const Row &row);

    const std::vector<BinaryForm> forms_;
    const std::optional<uint32_t> partition_;
    bool binary_ = true;
    GrowingBuffer out_;
    std::string text_;  // of one value
};

// Throws for a value that a row of a table cannot be stored without: CorruptStream, or Failure if it is too large.
void require_value(const Relation &relation, size_t column, const wire::ValueView &value);

}  // namespace cdc::consumer

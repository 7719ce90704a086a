// What COPY ... TO STDOUT (FORMAT binary) sends for a query of one column, taken out of its frames. Needs no
// connection.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace cdc::consumer {

class BinaryCopyReader {
 public:
    // Takes the next part of what was sent, cut anywhere, and calls `value` for each row that is complete with it; the
    // bytes are valid during the call. Throws CorruptStream.
    void read(std::string_view part, const std::function<void(std::string_view)> &value);
    // The end was announced, with nothing left over.
    bool complete() const { return at_end_ && rest_.empty(); }

 private:
    size_t read_rows(std::string_view bytes, const std::function<void(std::string_view)> &value);

    bool in_rows_ = false;  // behind the header
    bool at_end_ = false;   // behind the trailer
    std::string rest_;      // the beginning of what is not complete
};

}  // namespace cdc::consumer

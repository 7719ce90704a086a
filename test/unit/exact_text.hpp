// Runs a function that writes text, in as many bytes as it may need at most and not one more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace cdc::test {

// `put` takes the place to write to, and returns the byte after its text.
template <typename Put>
std::string exact_text(size_t room, Put put) {
    const std::unique_ptr<uint8_t[]> bytes(new uint8_t[room]);
    const uint8_t *const end = put(bytes.get());
    return std::string(reinterpret_cast<const char *>(bytes.get()), static_cast<size_t>(end - bytes.get()));
}

}  // namespace cdc::test

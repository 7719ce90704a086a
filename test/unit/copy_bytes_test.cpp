// Copies of each small size: all the bytes, and none beside them.
#include "wire/copy.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace cdc::test {

TEST(CopyBytes, EachSize) {
    for (size_t size = 0; size < 600; ++size) {
        // Of exactly this size, for AddressSanitizer to see.
        const std::unique_ptr<uint8_t[]> from(new uint8_t[size]);
        const std::unique_ptr<uint8_t[]> to(new uint8_t[size]);
        for (size_t i = 0; i < size; ++i) {
            from[i] = static_cast<uint8_t>(i * 7 + 1);
            to[i] = 0;
        }
        wire::copy_bytes(to.get(), from.get(), size);
        EXPECT_EQ(memcmp(from.get(), to.get(), size), 0) << size;
    }
}

TEST(CopyBytes, Nothing) {
    uint8_t byte = 1;
    wire::copy_bytes(&byte, nullptr, 0);
    EXPECT_EQ(byte, 1);
}

}  // namespace cdc::test

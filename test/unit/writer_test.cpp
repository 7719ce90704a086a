// Single fields, each on a buffer that is full when it starts: what libprotobuf writes for them, and nothing for
// defaults.
#include "tight_buffer.hpp"

#include "wire/writer.hpp"

#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include <string>

namespace cdc::test {

namespace {

constexpr uint32_t kFields[] = {1, 15, 16, 2047, 2048, 536870911};
constexpr uint64_t kNumbers[] = {1, 127, 128, 16383, 16384, UINT32_MAX, uint64_t{1} << 63, UINT64_MAX};

// `add` puts a field into a set, which libprotobuf writes; `put` writes the same.
template <typename Add, typename Put>
void expect_same(Add add, Put put) {
    google::protobuf::UnknownFieldSet fields;
    add(fields);
    std::string expected;
    ASSERT_TRUE(fields.SerializeToString(&expected));
    TightBuffer out;
    put(out);
    EXPECT_EQ(out.view(), expected);
}

}  // namespace

TEST(Writer, Numbers) {
    for (const uint32_t field : kFields) {
        for (const uint64_t number : kNumbers) {
            const int id = static_cast<int>(field);
            expect_same([&](auto &fields) { fields.AddVarint(id, number); },
                        [&](wire::Buffer &out) { wire::put_uint(out, field, number); });
            expect_same([&](auto &fields) { fields.AddFixed64(id, number); },
                        [&](wire::Buffer &out) { wire::put_fixed64(out, field, number); });
            const auto with_sign = static_cast<int64_t>(number);
            expect_same([&](auto &fields) { fields.AddVarint(id, wire::zigzag(with_sign)); },
                        [&](wire::Buffer &out) { wire::put_sint(out, field, with_sign); });
        }
    }
}

TEST(Writer, Bytes) {
    for (const uint32_t field : kFields) {
        for (const size_t size : {1, 127, 128, 16383, 16384}) {
            const std::string bytes(size, 'b');
            expect_same([&](auto &fields) { fields.AddLengthDelimited(static_cast<int>(field), bytes); },
                        [&](wire::Buffer &out) { wire::put_bytes(out, field, bytes); });
        }
    }
}

TEST(Writer, NestedMessages) {
    for (const uint32_t field : kFields) {
        expect_same([&](auto &fields) { fields.AddLengthDelimited(static_cast<int>(field), ""); },
                    [&](wire::Buffer &out) { wire::end_nested(out, wire::begin_nested(out, field, 0)); });
    }
}

TEST(Writer, DefaultsAreLeftOut) {
    TightBuffer out;
    wire::put_uint(out, 1, 0);
    wire::put_sint(out, 1, 0);
    wire::put_fixed64(out, 1, 0);
    wire::put_bytes(out, 1, "");
    wire::put_bytes(out, 1, std::string_view());
    EXPECT_EQ(out.used, 0U);
}

}  // namespace cdc::test

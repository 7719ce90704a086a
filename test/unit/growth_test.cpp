// Every writer, on buffers that are full at any point: whatever was free when it started, nothing is written that was
// not reserved, and no growth in the middle of a record changes it.
#include "change_writer.hpp"
#include "sample_batch.hpp"
#include "tight_buffer.hpp"

#include "wire/json.hpp"

#include <gtest/gtest.h>

namespace cdc::test {

namespace {

constexpr size_t kMaxSlack = 200;

template <typename Write>
void expect_same_at_any_slack(Write write) {
    TightBuffer roomy(1 << 16);
    write(roomy);
    for (size_t slack = 0; slack < kMaxSlack; ++slack) {
        TightBuffer out(slack);
        write(out);
        ASSERT_TRUE(out.view() == roomy.view()) << "with " << slack << " bytes free";
    }
}

}  // namespace

TEST(Growth, Records) {
    for (const SampleRecord &sample : sample_records()) {
        SCOPED_TRACE(sample.name);
        expect_same_at_any_slack(sample.write);
    }
}

TEST(Growth, Batch) {
    expect_same_at_any_slack(write_sample_batch);
}

TEST(Growth, ChangesOfWrongGuesses) {
    for (const size_t guess : {0, 127, 128, 16384, 2097152}) {
        expect_same_at_any_slack([&](wire::Buffer &out) {
            write_change(
                out, {wire::Op::kInsert, 1, 2},
                [&] { ValueList(out, wire::change::after).text(std::string(130, 'x')).null(); }, guess);
        });
    }
}

TEST(Growth, JsonStrings) {
    const std::string text = "plain \x01 \n \" \\ é € 😀 plain";
    for (const bool ascii_only : {false, true}) {
        expect_same_at_any_slack([&](wire::Buffer &out) { wire::put_json_string(out, text, ascii_only); });
        expect_same_at_any_slack([&](wire::Buffer &out) { wire::put_json_verbatim(out, "[\"é😀\",\n1]", ascii_only); });
    }
}

}  // namespace cdc::test

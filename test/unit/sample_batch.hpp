// Records of each kind, written by the module's own writers, in which every field of the schema is set somewhere.
#pragma once

#include "wire/buffer.hpp"

#include <vector>

namespace cdc::test {

struct SampleRecord {
    const char *name;
    void (*write)(wire::Buffer &out);
};

// In the order of a stream: together they are a batch.
const std::vector<SampleRecord> &sample_records();

void write_sample_batch(wire::Buffer &out);

}  // namespace cdc::test

// Random input for tests: the same on every run, with a liking for the edges.
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace cdc::test {

class Random {
 public:
    explicit Random(uint32_t seed = 1) : engine_(seed) {}

    // From 0 to limit - 1.
    uint64_t below(uint64_t limit) { return engine_() % limit; }
    bool one_in(uint64_t n) { return below(n) == 0; }

    // Of any magnitude: each number of bits is as likely, and the ends are frequent.
    uint64_t number() {
        if (one_in(8)) {
            return one_in(2) ? 0 : UINT64_MAX;
        }
        return engine_() >> below(64);
    }
    int64_t signed_number() { return static_cast<int64_t>(one_in(2) ? number() : ~number()); }

    // `limit` bytes at most; often as many as turn a length into one more byte, or one less.
    std::string bytes(size_t limit) {
        static constexpr size_t kEdges[] = {0, 1, 125, 126, 127, 128, 129, 16383, 16384};
        const size_t edge = kEdges[below(std::size(kEdges))];
        std::string result(edge <= limit && one_in(2) ? edge : below(limit + 1), '\0');
        for (char &c : result) {
            c = static_cast<char>(engine_());
        }
        return result;
    }

    // The same, of printable ASCII.
    std::string text(size_t limit) {
        std::string result = bytes(limit);
        for (char &c : result) {
            c = static_cast<char>(' ' + static_cast<uint8_t>(c) % 95);
        }
        return result;
    }

 private:
    std::mt19937_64 engine_;
};

}  // namespace cdc::test

// The texts of alerts and of the column advice. Pure.
#pragma once

#include "verdict.hpp"

#include <cstddef>

namespace cdc::guard {

// Names that a text may need beside the numbers.
struct Names {
    const char *slot;
    const char *database;  // of the transaction that holds WAL back; nullptr if unknown
};

// One line that says what to do, with a command where there is one.
void put_advice(char *out, size_t size, const Names &names, const Observation &slot, const Verdict &verdict,
                const Flow &flow);

// A change of level: the first line of an alert, and its detail.
void put_message(char *out, size_t size, const Names &names, const Verdict &verdict, Level previous);
void put_detail(char *out, size_t size, const Names &names, const Observation &slot, const Verdict &verdict,
                const Flow &flow);

}  // namespace cdc::guard

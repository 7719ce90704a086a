// The two settings that have a syntax of their own: guard_policies and guard_time_left. Pure.
#pragma once

#include "words.hpp"

#include <cstddef>
#include <cstdint>

namespace cdc::guard {

constexpr size_t kMaxSlotName = 64;  // NAMEDATALEN
constexpr int kMaxPolicies = 64;

struct Policy {
    char slots[kMaxSlotName];  // a slot's name, in which '*' stands for any characters
    int64_t cap;               // bytes that such a slot may retain
    Action at_cap;
};

// 'orders: cap=10GB at_cap=drop; audit_*: cap=2GB'. The first policy that fits a slot is the slot's.
struct Policies {
    int count;
    Policy list[kMaxPolicies];
};

// What is wrong, as the detail of an error message, and where.
struct ParseError {
    const char *what;
    size_t offset;  // bytes into the text
};

// False, with `error` set, if the text is no list of policies. An empty text is the empty list.
bool parse_policies(const char *text, Policies &policies, ParseError &error);

// The policy of a slot, or nullptr.
const Policy *policy_of(const Policies &policies, const char *slot);

// Microseconds that are left until a cap is reached, for notice, warning and critical; 0 if that level has no limit.
struct TimeLeft {
    int64_t limit[kLevels];
};

// 'notice=1h, warning=20min, critical=5min', each of them optional.
bool parse_time_left(const char *text, TimeLeft &time_left, ParseError &error);

}  // namespace cdc::guard

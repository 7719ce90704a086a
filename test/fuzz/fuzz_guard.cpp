// The guard's settings with a syntax of their own, as an operator might type them. What is accepted must be in range
// and bounded; what is refused must say what is wrong, at a place within the text.
#include "check.hpp"

#include "guard/message.hpp"
#include "guard/policies.hpp"
#include "guard/quantity.hpp"

#include <cstring>
#include <string>

namespace {

using namespace cdc::guard;
using cdc::fuzz::check;

void check_error(const ParseError &error, const std::string &text) {
    check(error.what != nullptr && error.what[0] != '\0', "refused without a reason", text);
    check(error.offset <= strlen(text.c_str()), "a mistake beyond the end", text);
}

void check_policies(const std::string &text, const char *name) {
    Policies policies;
    ParseError error{};
    if (!parse_policies(text.c_str(), policies, error)) {
        check_error(error, text);
        return;
    }
    check(policies.count >= 0 && policies.count <= kMaxPolicies, "too many policies", text);
    for (int i = 0; i < policies.count; ++i) {
        const Policy &policy = policies.list[i];
        check(policy.cap > 0, "a policy without a cap", text);
        check(strlen(policy.slots) > 0 && strlen(policy.slots) < kMaxSlotName, "the name of a slot is no name", text);
        check(policy.at_cap <= Action::kDrop, "unknown action", text);
        check(policy_of(policies, policy.slots) != nullptr, "a policy does not fit its own name", text);
        char shown[kQuantityRoom];
        check(strlen(format_bytes(shown, policy.cap)) > 0, "a cap without words", text);
    }
    const Policy *const found = policy_of(policies, name);
    check(found == nullptr || (found >= policies.list && found < policies.list + policies.count), "no such policy",
          text);
}

void check_time_left(const std::string &text) {
    TimeLeft time_left;
    ParseError error{};
    if (!parse_time_left(text.c_str(), time_left, error)) {
        check_error(error, text);
        return;
    }
    for (const int64_t limit : time_left.limit) {
        check(limit >= 0, "a negative time", text);
    }
    check(time_left.limit[0] == 0 && time_left.limit[kLevels - 1] == 0, "a limit for a level that has none", text);
}

}  // namespace

// The last line is the name of a slot.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string input(reinterpret_cast<const char *>(data), size);
    const size_t line = input.rfind('\n');
    const std::string text = line == std::string::npos ? input : input.substr(0, line);
    const std::string name = line == std::string::npos ? "" : input.substr(line + 1);
    check_policies(text, name.c_str());
    check_time_left(text);
    return 0;
}

// A scanner over text that an operator typed: nothing is allocated, and what is not understood is refused.
#include "policies.hpp"

#include <initializer_list>

#include "quantity.hpp"

#include <cstring>

namespace cdc::guard {

namespace {

struct Scanner {
    const char *start;
    const char *at;
    ParseError &error;

    void skip_space() {
        while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') {
            ++at;
        }
    }

    bool fail(const char *what) {
        error.what = what;
        error.offset = static_cast<size_t>(at - start);
        return false;
    }

    // Moves behind `c` if it comes next, whatever space is around it.
    bool take(char c) {
        skip_space();
        if (*at != c) {
            return false;
        }
        ++at;
        skip_space();
        return true;
    }

    // Lower-case letters, digits, underscores and what else is in `more`. False if there are none or too many.
    template <size_t kRoom>
    bool take_name(char (&name)[kRoom], const char *more) {
        size_t length = 0;
        for (; (*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || *at == '_' ||
               (*at != '\0' && strchr(more, *at) != nullptr);
             ++at) {
            if (length + 1 >= kRoom) {
                return false;
            }
            name[length++] = *at;
        }
        name[length] = '\0';
        return length > 0;
    }
};

bool parse_action(const char *text, Action &action) {
    for (const Action candidate : {Action::kWarn, Action::kTerminate, Action::kDrop}) {
        if (strcmp(text, word(candidate)) == 0) {
            action = candidate;
            return true;
        }
    }
    return false;
}

bool parse_policy(Scanner &scan, Policy &policy) {
    if (!scan.take_name(policy.slots, "*")) {
        return scan.fail("Expected the name of a slot, in which \"*\" stands for any characters.");
    }
    if (!scan.take(':')) {
        return scan.fail("Expected \":\" behind the name of a slot.");
    }
    policy.cap = 0;
    policy.at_cap = Action::kWarn;
    bool has_action = false;
    while (*scan.at != '\0' && *scan.at != ';') {
        char key[16];
        if (!scan.take_name(key, "") || !scan.take('=')) {
            return scan.fail("Expected \"cap=SIZE\" or \"at_cap=ACTION\".");
        }
        if (strcmp(key, "cap") == 0 && policy.cap == 0) {
            if (!read_bytes(scan.at, policy.cap)) {
                return scan.fail("A cap is a whole number above 0 with one of the units B, kB, MB, GB and TB.");
            }
        } else if (strcmp(key, "at_cap") == 0 && !has_action) {
            char action[16];
            if (!scan.take_name(action, "") || !parse_action(action, policy.at_cap)) {
                return scan.fail("The actions are \"warn\", \"terminate\" and \"drop\".");
            }
            has_action = true;
        } else {
            return scan.fail("A policy has one \"cap\", may have one \"at_cap\", and nothing else.");
        }
        scan.take(',');
        scan.skip_space();
    }
    return policy.cap > 0 || scan.fail("A policy needs a \"cap\".");
}

bool matches(const char *pattern, const char *name) {
    const char *star = nullptr;
    const char *retry = nullptr;
    while (*name != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            retry = name;
        } else if (*pattern == *name) {
            ++pattern;
            ++name;
        } else if (star != nullptr) {
            pattern = star + 1;
            name = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        ++pattern;
    }
    return *pattern == '\0';
}

}  // namespace

bool parse_policies(const char *text, Policies &policies, ParseError &error) {
    Scanner scan{text, text, error};
    policies.count = 0;
    for (scan.skip_space(); *scan.at != '\0'; scan.skip_space()) {
        if (policies.count == kMaxPolicies) {
            return scan.fail("There can be 64 policies at most.");
        }
        if (!parse_policy(scan, policies.list[policies.count])) {
            return false;
        }
        ++policies.count;
        scan.take(';');
    }
    return true;
}

const Policy *policy_of(const Policies &policies, const char *slot) {
    for (int i = 0; i < policies.count; ++i) {
        if (matches(policies.list[i].slots, slot)) {
            return &policies.list[i];
        }
    }
    return nullptr;
}

bool parse_time_left(const char *text, TimeLeft &time_left, ParseError &error) {
    Scanner scan{text, text, error};
    time_left = TimeLeft{};
    for (scan.skip_space(); *scan.at != '\0'; scan.skip_space()) {
        char name[16];
        Level level;
        if (!scan.take_name(name, "") || !parse_word(name, level) || level == Level::kOk || level == Level::kLost) {
            return scan.fail("Expected one of the levels notice, warning and critical.");
        }
        int64_t &limit = time_left.limit[static_cast<int>(level)];
        if (limit != 0) {
            return scan.fail("A level is named twice.");
        }
        if (!scan.take('=') || !read_duration(scan.at, limit)) {
            return scan.fail(
                "Expected \"=\" and a time: a whole number above 0 with one of the units ms, s, min, h and d.");
        }
        scan.skip_space();
        if (*scan.at != '\0' && !scan.take(',')) {
            return scan.fail("Expected a comma between the levels.");
        }
    }
    return true;
}

}  // namespace cdc::guard

// The words of SQL, logs and notifications.
#include "words.hpp"

#include <cstring>

namespace cdc::guard {

namespace {

constexpr const char *kLevelWords[kLevels] = {"ok", "notice", "warning", "critical", "lost"};
constexpr const char *kCauseWords[kCauses] = {
    "none",          "consumer_down", "consumer_slow", "long_transaction", "prepared_transaction",
    "idle_database", "catalog_bloat", "cap_too_small", "slot_lost",
};
constexpr const char *kSourceWords[] = {"none", "max_slot_wal_keep_size", "policy", "disk"};
constexpr const char *kActionWords[] = {"warn", "terminate", "drop"};

}  // namespace

const char *word(Level level) {
    return kLevelWords[static_cast<int>(level)];
}

const char *word(Cause cause) {
    return kCauseWords[static_cast<int>(cause)];
}

const char *word(CapSource source) {
    return kSourceWords[static_cast<int>(source)];
}

const char *word(Action action) {
    return kActionWords[static_cast<int>(action)];
}

bool parse_word(const char *text, Level &level) {
    for (int i = 0; i < kLevels; ++i) {
        if (strcmp(text, kLevelWords[i]) == 0) {
            level = static_cast<Level>(i);
            return true;
        }
    }
    return false;
}

}  // namespace cdc::guard

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

template <typename Word, int kCount>
bool find(const char *text, const char *const (&words)[kCount], Word &found) {
    for (int i = 0; i < kCount; ++i) {
        if (strcmp(text, words[i]) == 0) {
            found = static_cast<Word>(i);
            return true;
        }
    }
    return false;
}

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
    return find(text, kLevelWords, level);
}

bool parse_word(const char *text, Cause &cause) {
    return find(text, kCauseWords, cause);
}

}  // namespace cdc::guard

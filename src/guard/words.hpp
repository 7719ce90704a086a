// What the guard can say of a slot, and the words for it. Pure.
#pragma once

#include <cstdint>

namespace cdc::guard {

enum class Level : uint8_t { kOk, kNotice, kWarning, kCritical, kLost };
constexpr int kLevels = 5;

enum class Cause : uint8_t {
    kNone,
    kConsumerDown,
    kConsumerSlow,
    kLongTransaction,
    kPreparedTransaction,
    kIdleDatabase,
    kCatalogBloat,
    kCapTooSmall,
    kSlotLost,
};
constexpr int kCauses = 9;

// What limits a slot: the nearest of the limits that there are.
enum class CapSource : uint8_t { kNone, kServer, kPolicy, kDisk };

// What a policy wants done when a slot retains its cap.
enum class Action : uint8_t { kWarn, kTerminate, kDrop };

const char *word(Level level);
const char *word(Cause cause);
const char *word(CapSource source);
const char *word(Action action);

// False if there is no such level.
bool parse_word(const char *text, Level &level);

}  // namespace cdc::guard

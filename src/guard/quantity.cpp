// One table of units for each kind.
#include "quantity.hpp"

#include <cstdio>
#include <cstring>

namespace cdc::guard {

namespace {

struct Unit {
    const char *name;
    int64_t size;
};

// Longer names before those that they start with.
constexpr Unit kBytes[] = {
    {"kB", INT64_C(1) << 10}, {"MB", INT64_C(1) << 20}, {"GB", INT64_C(1) << 30}, {"TB", INT64_C(1) << 40}, {"B", 1}};
constexpr Unit kDurations[] = {
    {"ms", 1000}, {"min", 60 * kMicros}, {"s", kMicros}, {"h", 3600 * kMicros}, {"d", 86400 * kMicros}};
constexpr int64_t kMaxBytes = INT64_C(1) << 60;
constexpr int64_t kMaxDuration = INT64_C(36525) * 86400 * kMicros;

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

template <int kCount>
bool read_quantity(const char *&text, const Unit (&units)[kCount], int64_t max, int64_t &value) {
    int64_t number = 0;
    if (*text < '0' || *text > '9') {
        return false;
    }
    for (; *text >= '0' && *text <= '9'; ++text) {
        if (number > max / 10) {
            return false;
        }
        number = number * 10 + (*text - '0');
    }
    while (*text == ' ') {
        ++text;
    }
    for (const Unit &unit : units) {
        const size_t length = strlen(unit.name);
        if (strncmp(text, unit.name, length) == 0 && !is_letter(text[length])) {
            text += length;
            if (number == 0 || number > max / unit.size) {
                return false;
            }
            value = number * unit.size;
            return true;
        }
    }
    return false;
}

}  // namespace

const char *format_bytes(char (&out)[kQuantityRoom], int64_t bytes) {
    static constexpr const char *kNames[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    const bool negative = bytes < 0;
    double value = negative ? -static_cast<double>(bytes) : static_cast<double>(bytes);
    if (value < 1024) {
        snprintf(out, sizeof out, "%s%d bytes", negative ? "-" : "", static_cast<int>(value));
        return out;
    }
    int unit = -1;
    while (value >= 1023.5 || unit < 0) {
        value /= 1024;
        ++unit;
    }
    snprintf(out, sizeof out, value < 99.95 ? "%s%.1f %s" : "%s%.0f %s", negative ? "-" : "", value, kNames[unit]);
    return out;
}

const char *format_duration(char (&out)[kQuantityRoom], int64_t micros) {
    const int64_t seconds = micros / kMicros;
    const int64_t minutes = seconds / 60;
    const int64_t hours = minutes / 60;
    if (seconds < 120) {
        snprintf(out, sizeof out, "%d s", static_cast<int>(seconds));
    } else if (minutes < 120) {
        snprintf(out, sizeof out, "%d min", static_cast<int>(minutes));
    } else if (hours < 48) {
        snprintf(out, sizeof out, "%d h %d min", static_cast<int>(hours), static_cast<int>(minutes % 60));
    } else {
        snprintf(out, sizeof out, "%lld d", static_cast<long long>(hours / 24));
    }
    return out;
}

bool read_bytes(const char *&text, int64_t &bytes) {
    return read_quantity(text, kBytes, kMaxBytes, bytes);
}

bool read_duration(const char *&text, int64_t &micros) {
    return read_quantity(text, kDurations, kMaxDuration, micros);
}

}  // namespace cdc::guard

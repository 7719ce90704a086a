#include "lsn.hpp"

#include <charconv>
#include <cstdio>

namespace cdc::consumer {

std::string lsn_text(Lsn lsn) {
    char text[20];
    std::snprintf(text, sizeof text, "%X/%X", static_cast<unsigned>(lsn >> 32), static_cast<unsigned>(lsn));
    return text;
}

std::optional<Lsn> parse_lsn(std::string_view text) {
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos) {
        return std::nullopt;
    }
    const auto half = [](std::string_view digits) -> std::optional<uint32_t> {
        uint32_t value = 0;
        const char *const end = digits.data() + digits.size();
        const auto [at, error] = std::from_chars(digits.data(), end, value, 16);
        if (digits.empty() || error != std::errc() || at != end) {
            return std::nullopt;
        }
        return value;
    };
    const auto high = half(text.substr(0, slash));
    const auto low = half(text.substr(slash + 1));
    if (!high || !low) {
        return std::nullopt;
    }
    return static_cast<Lsn>(*high) << 32 | *low;
}

}  // namespace cdc::consumer

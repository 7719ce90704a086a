// Pattern lists, read where they stand.
#include "pattern.hpp"

#include <cstddef>

namespace cdc::plugin {

namespace {

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Cuts the text up to the next unescaped `separator` off the front of `rest`; false if there was nothing left to cut.
bool cut(std::string_view &rest, bool &more, char separator, std::string_view &piece) {
    if (!more) {
        return false;
    }
    size_t i = 0;
    while (i < rest.size() && rest[i] != separator) {
        i += rest[i] == '\\' && i + 1 < rest.size() ? 2 : 1;
    }
    piece = rest.substr(0, i);
    more = i < rest.size();
    rest.remove_prefix(more ? i + 1 : rest.size());
    return true;
}

// White space round a pattern does not count, unless it is escaped.
std::string_view trim(std::string_view piece) {
    while (!piece.empty() && is_space(piece.front())) {
        piece.remove_prefix(1);
    }
    while (!piece.empty() && is_space(piece.back())) {
        size_t backslashes = 0;
        while (backslashes + 1 < piece.size() && piece[piece.size() - 2 - backslashes] == '\\') {
            ++backslashes;
        }
        if (backslashes % 2 == 1) {
            break;
        }
        piece.remove_suffix(1);
    }
    return piece;
}

// Greedy matching with one point to come back to, so that the time is bounded by the product of the lengths.
bool match(std::string_view pattern, std::string_view name) {
    size_t p = 0;
    size_t n = 0;
    size_t star = std::string_view::npos;
    size_t star_n = 0;
    while (n < name.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = ++p;
            star_n = n;
            continue;
        }
        const size_t literal = p < pattern.size() && pattern[p] == '\\' && p + 1 < pattern.size() ? p + 1 : p;
        if (literal < pattern.size() && pattern[literal] == name[n]) {
            p = literal + 1;
            ++n;
        } else if (star != std::string_view::npos) {
            p = star;
            n = ++star_n;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') {
        ++p;
    }
    return p == pattern.size();
}

}  // namespace

const char *check_patterns(std::string_view list, int parts) {
    bool more = true;
    std::string_view pattern;
    while (cut(list, more, ',', pattern)) {
        pattern = trim(pattern);
        if (pattern.empty()) {
            return "A pattern in the list is empty.";
        }
        for (size_t i = 0; i < pattern.size(); ++i) {
            if (pattern[i] == '\\' && ++i == pattern.size()) {
                return "A pattern ends with a backslash, which has nothing to escape.";
            }
        }
        if (parts == 1) {
            continue;
        }
        int found = 0;
        bool more_parts = true;
        std::string_view part;
        while (cut(pattern, more_parts, '.', part)) {
            if (part.empty()) {
                return "A pattern has an empty schema or table.";
            }
            ++found;
        }
        if (found != parts) {
            return "A pattern is not of the form schema.table.";
        }
    }
    return nullptr;
}

bool match_patterns(std::string_view list, const std::string_view *name, int parts) {
    bool more = true;
    std::string_view pattern;
    while (cut(list, more, ',', pattern)) {
        pattern = trim(pattern);
        if (parts == 1) {
            if (match(pattern, name[0])) {
                return true;
            }
            continue;
        }
        int found = 0;
        bool more_parts = true;
        bool all = true;
        std::string_view part;
        while (found < parts && cut(pattern, more_parts, '.', part)) {
            all = all && match(part, name[found]);
            ++found;
        }
        if (all && found == parts) {
            return true;
        }
    }
    return false;
}

}  // namespace cdc::plugin

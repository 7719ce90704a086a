// The options of the output plugin, parsed and checked. Pure C++ with no memory of its own, so that it can be fuzzed:
// lists stay the text that the user gave and are matched where they stand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cdc::plugin {

enum class Format : uint8_t { kProtobuf, kJson };
enum class Framing : uint8_t { kNone, kDelimited };

enum Action : uint8_t { kInsert = 1, kUpdate = 2, kDelete = 4, kTruncate = 8, kAllActions = 15 };

// Bounds of batch_bytes, and its default.
constexpr int64_t kMinBatchBytes = 1;
constexpr int64_t kMaxBatchBytes = int64_t{64} << 20;
constexpr int64_t kDefaultBatchBytes = int64_t{64} << 10;
// Upper bound of max_value_bytes: no value can be larger.
constexpr int64_t kMaxValueBytes = int64_t{1} << 30;

struct Options {
    Format format = Format::kProtobuf;
    Framing framing = Framing::kNone;
    int64_t batch_bytes = kDefaultBatchBytes;
    std::string_view tables;          // empty: all
    std::string_view exclude_tables;  // empty: none
    uint8_t actions = kAllActions;    // of Action
    bool messages = true;
    std::string_view message_prefixes;  // empty: all
    bool any_origin = true;
    bool skip_empty_xacts = true;
    bool changed_columns = false;
    int64_t max_value_bytes = 0;  // 0: no limit
    uint32_t given = 0;           // one bit for each option that was set
};

// What is wrong with an option. Texts are static; the caller adds the option's name and value.
struct OptionError {
    enum class Kind : uint8_t { kNone, kUnknown, kRepeated, kInvalid, kConflict };
    Kind kind = Kind::kNone;
    const char *detail = nullptr;  // a sentence
    const char *hint = nullptr;    // a sentence

    explicit operator bool() const { return kind != Kind::kNone; }
};

// Sets one option. `value` must outlive `options`; `has_value` is false for an option given as a bare name.
OptionError set_option(Options &options, std::string_view name, std::string_view value, bool has_value);

// Checks the options against each other, when all are set.
OptionError check_options(const Options &options);

// Whether a list of patterns, as set_option() accepted it, matches a table or a message prefix.
bool matches_table(std::string_view patterns, std::string_view schema, std::string_view table);
bool matches_prefix(std::string_view patterns, std::string_view prefix);

// A name that a table goes by: its own, or for a partition also those of the tables above it.
struct TableName {
    std::string_view schema;
    std::string_view table;
};

// Whether the options select a table: one of its names is in `tables`, and none in `exclude_tables`.
bool selects_table(const Options &options, const TableName *names, size_t count);
// Whether the options select a logical message; heartbeats always are.
bool selects_message(const Options &options, std::string_view prefix);

}  // namespace cdc::plugin

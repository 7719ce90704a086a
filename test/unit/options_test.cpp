// Each option of the plugin: its default, what it takes, and what is an error.
#include "plugin/options.hpp"

#include "wire/schema.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

namespace cdc::test {

namespace {

using namespace plugin;
using Kind = OptionError::Kind;

OptionError set(Options &options, const char *name, std::string_view value) {
    const OptionError error = set_option(options, name, value, true);
    if (error) {
        // Sentences, for the server's messages.
        for (const std::string text : {error.detail, error.hint}) {
            EXPECT_FALSE(text.empty());
            EXPECT_EQ(text.back(), '.') << text;
        }
    }
    return error;
}

Options options_of(const char *name, std::string_view value) {
    Options options;
    EXPECT_FALSE(set(options, name, value)) << name << "=" << value;
    return options;
}

void expect_invalid(const char *name, std::string_view value) {
    Options options;
    EXPECT_EQ(set(options, name, value).kind, Kind::kInvalid) << name << "=" << value;
}

void expect_boolean(const char *name, bool Options::*member, bool default_value) {
    EXPECT_EQ(Options().*member, default_value);
    for (const char *word : {"on", "true", "yes", "1"}) {
        EXPECT_TRUE(options_of(name, word).*member) << name << "=" << word;
    }
    for (const char *word : {"off", "false", "no", "0"}) {
        EXPECT_FALSE(options_of(name, word).*member) << name << "=" << word;
    }
    for (const char *word : {"", "On", "ON", "t", "f", "2", " on", "on ", "onn", "null"}) {
        expect_invalid(name, word);
    }
}

// A table that goes by these names.
bool selects(const Options &options, std::initializer_list<TableName> names) {
    return selects_table(options, names.begin(), names.size());
}

}  // namespace

TEST(Options, Defaults) {
    const Options options;
    EXPECT_EQ(options.format, Format::kProtobuf);
    EXPECT_EQ(options.framing, Framing::kNone);
    EXPECT_EQ(options.batch_bytes, 65536);
    EXPECT_EQ(options.actions, kInsert | kUpdate | kDelete | kTruncate);
    EXPECT_TRUE(options.any_origin);
    EXPECT_EQ(options.max_value_bytes, 0);
    EXPECT_TRUE(selects(options, {{"any", "table"}}));
    EXPECT_TRUE(selects_message(options, "any"));
    EXPECT_FALSE(check_options(options));
}

TEST(Options, Format) {
    EXPECT_EQ(options_of("format", "protobuf").format, Format::kProtobuf);
    EXPECT_EQ(options_of("format", "json").format, Format::kJson);
    for (const char *value : {"", "JSON", "json ", "text"}) {
        expect_invalid("format", value);
    }
}

TEST(Options, Framing) {
    EXPECT_EQ(options_of("framing", "none").framing, Framing::kNone);
    EXPECT_EQ(options_of("framing", "delimited").framing, Framing::kDelimited);
    for (const char *value : {"", "Delimited", "length"}) {
        expect_invalid("framing", value);
    }
}

TEST(Options, Origin) {
    EXPECT_TRUE(options_of("origin", "any").any_origin);
    EXPECT_FALSE(options_of("origin", "none").any_origin);
    for (const char *value : {"", "ANY", "all"}) {
        expect_invalid("origin", value);
    }
}

TEST(Options, Booleans) {
    expect_boolean("messages", &Options::messages, true);
    expect_boolean("skip_empty_xacts", &Options::skip_empty_xacts, true);
    expect_boolean("changed_columns", &Options::changed_columns, false);
}

TEST(Options, BatchBytes) {
    EXPECT_EQ(options_of("batch_bytes", "1").batch_bytes, 1);
    EXPECT_EQ(options_of("batch_bytes", "0001").batch_bytes, 1);
    EXPECT_EQ(options_of("batch_bytes", "100B").batch_bytes, 100);
    EXPECT_EQ(options_of("batch_bytes", "64kB").batch_bytes, 65536);
    EXPECT_EQ(options_of("batch_bytes", "1MB").batch_bytes, 1048576);
    EXPECT_EQ(options_of("batch_bytes", "64MB").batch_bytes, 67108864);
    EXPECT_EQ(options_of("batch_bytes", "67108864").batch_bytes, 67108864);
    for (const char *value : {"",
                              "0",
                              "0kB",
                              "67108865",
                              "65537kB",
                              "65MB",
                              "1GB",
                              "-1",
                              "+1",
                              " 1",
                              "1 ",
                              "1 kB",
                              "1KB",
                              "1kb",
                              "kB",
                              "1.5kB",
                              "0x10",
                              "1e3",
                              "9223372036854775807",
                              "9223372036854775808",
                              "99999999999999999999999999",
                              "18446744073709551617",
                              "9007199254740993kB"}) {
        expect_invalid("batch_bytes", value);
    }
}

TEST(Options, MaxValueBytes) {
    EXPECT_EQ(options_of("max_value_bytes", "0").max_value_bytes, 0);
    EXPECT_EQ(options_of("max_value_bytes", "1").max_value_bytes, 1);
    EXPECT_EQ(options_of("max_value_bytes", "8kB").max_value_bytes, 8192);
    EXPECT_EQ(options_of("max_value_bytes", "1GB").max_value_bytes, 1073741824);
    EXPECT_EQ(options_of("max_value_bytes", "1073741824").max_value_bytes, 1073741824);
    for (const char *value : {"", "-1", "1073741825", "2GB", "1025MB", "1TB", "off"}) {
        expect_invalid("max_value_bytes", value);
    }
}

TEST(Options, Actions) {
    EXPECT_EQ(options_of("actions", "insert").actions, kInsert);
    EXPECT_EQ(options_of("actions", "delete,update").actions, kUpdate | kDelete);
    EXPECT_EQ(options_of("actions", " truncate ,insert , update,delete ").actions, kAllActions);
    for (const char *value : {"", " ", ",", "insert,", ",insert", "insert,,delete", "insert insert", "Insert", "all",
                              "insert,insert", "read", "inser", "inserts"}) {
        expect_invalid("actions", value);
    }
}

TEST(Options, PatternLists) {
    EXPECT_EQ(options_of("tables", "public.a, public.b").tables, "public.a, public.b");
    EXPECT_EQ(options_of("exclude_tables", "*.*").exclude_tables, "*.*");
    EXPECT_EQ(options_of("message_prefixes", "a, b.c").message_prefixes, "a, b.c");
    for (const char *name : {"tables", "exclude_tables"}) {
        for (const char *value : {"", "a", "a.b.c", "a.b,", ".b", "a.", "a.b\\"}) {
            expect_invalid(name, value);
        }
    }
    for (const char *value : {"", ",", "a,,b", "a\\"}) {
        expect_invalid("message_prefixes", value);
    }
}

TEST(Options, Unknown) {
    for (const char *name : {"", "Format", "format ", "formats", "publication_names", "tables\n"}) {
        Options options;
        EXPECT_EQ(set(options, name, "json").kind, Kind::kUnknown) << name;
    }
}

// The hint names each option that there is: one that it does not name is unknown, and the other way round.
TEST(Options, HintNamesAll) {
    Options options;
    std::string hint = set(options, "", "").hint;
    for (const char *name : {"format", "framing", "batch_bytes", "tables", "exclude_tables", "actions", "messages",
                             "message_prefixes", "origin", "skip_empty_xacts", "changed_columns", "max_value_bytes"}) {
        EXPECT_NE(set(options, name, "").kind, Kind::kUnknown) << name;
        EXPECT_NE(hint.find(name), std::string::npos) << name;
    }
}

// Even if the first one was invalid: the caller gives up at the first error anyway.
TEST(Options, Repeated) {
    for (const char *name : {"format", "max_value_bytes", "exclude_tables"}) {
        Options options;
        set(options, name, "0");
        EXPECT_EQ(set(options, name, "0").kind, Kind::kRepeated) << name;
    }
}

TEST(Options, WithoutValue) {
    for (const char *name : {"format", "messages", "tables"}) {
        Options options;
        const OptionError error = set_option(options, name, "", false);
        EXPECT_EQ(error.kind, Kind::kInvalid);
        EXPECT_STREQ(error.detail, "The option was given without a value.");
    }
}

// Nothing but the option's own member changes.
TEST(Options, Independent) {
    Options options;
    EXPECT_FALSE(set(options, "messages", "off"));
    EXPECT_FALSE(set(options, "changed_columns", "on"));
    EXPECT_FALSE(set(options, "actions", "insert"));
    EXPECT_FALSE(set(options, "max_value_bytes", "1kB"));
    EXPECT_EQ(options.batch_bytes, kDefaultBatchBytes);
    EXPECT_FALSE(options.messages);
    EXPECT_TRUE(options.skip_empty_xacts);
    EXPECT_TRUE(options.changed_columns);
    EXPECT_EQ(options.actions, kInsert);
    EXPECT_EQ(options.max_value_bytes, 1024);
}

TEST(Options, Conflict) {
    Options options;
    EXPECT_FALSE(set(options, "framing", "delimited"));
    EXPECT_FALSE(check_options(options));
    EXPECT_FALSE(set(options, "format", "json"));
    EXPECT_EQ(check_options(options).kind, Kind::kConflict);
    EXPECT_FALSE(check_options(options_of("format", "json")));
}

TEST(Options, SelectsTables) {
    Options options;
    EXPECT_FALSE(set(options, "tables", "public.*, audit.log"));
    EXPECT_FALSE(set(options, "exclude_tables", "*.secret*"));
    EXPECT_TRUE(selects(options, {{"public", "orders"}}));
    EXPECT_TRUE(selects(options, {{"audit", "log"}}));
    EXPECT_FALSE(selects(options, {{"audit", "logs"}}));
    EXPECT_FALSE(selects(options, {{"public", "secrets"}}));
    EXPECT_FALSE(selects(options, {{"Public", "orders"}}));
    const Options only_excluded = options_of("exclude_tables", "a.b");
    EXPECT_TRUE(selects(only_excluded, {{"a", "c"}}));
    EXPECT_FALSE(selects(only_excluded, {{"a", "b"}}));
}

// Any name selects, any name excludes, and excluding wins.
TEST(Options, SelectsPartitionsByTheTablesAboveThem) {
    Options options;
    EXPECT_FALSE(set(options, "tables", "public.root, public.leaf_2"));
    EXPECT_FALSE(set(options, "exclude_tables", "*.old*"));
    EXPECT_TRUE(selects(options, {{"public", "leaf"}, {"public", "middle"}, {"public", "root"}}));
    EXPECT_TRUE(selects(options, {{"public", "leaf_2"}, {"public", "elsewhere"}}));
    EXPECT_FALSE(selects(options, {{"public", "leaf"}, {"public", "elsewhere"}}));
    EXPECT_FALSE(selects(options, {{"public", "leaf"}, {"public", "old"}, {"public", "root"}}));
    EXPECT_FALSE(selects(options, {{"public", "old_leaf"}, {"public", "root"}}));
    EXPECT_FALSE(selects(options, {{"public", "leaf_2"}, {"public", "old_root"}}));
    EXPECT_FALSE(selects(options_of("exclude_tables", "a.b"), {{"a", "c"}, {"a", "b"}}));
    EXPECT_TRUE(selects(Options(), {{"a", "c"}, {"a", "b"}}));
}

TEST(Options, SelectsMessages) {
    const Options off = options_of("messages", "off");
    EXPECT_FALSE(selects_message(off, "a"));
    EXPECT_TRUE(selects_message(off, wire::kHeartbeatPrefix));
    const Options some = options_of("message_prefixes", "app.*");
    EXPECT_TRUE(selects_message(some, "app.x"));
    EXPECT_FALSE(selects_message(some, "other"));
    EXPECT_FALSE(selects_message(some, ""));
    EXPECT_TRUE(selects_message(some, wire::kHeartbeatPrefix));
    EXPECT_FALSE(selects_message(some, "cdc_plugin.heartbeat2"));
}

}  // namespace cdc::test

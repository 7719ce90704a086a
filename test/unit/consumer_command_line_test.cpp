// The consumer's command line: what is taken, what is refused, and that the help speaks of what there is.
#include "consumer/command_line.hpp"

#include "consumer/model/failure.hpp"
#include "program/option_values.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <initializer_list>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace cdc::consumer {
namespace {

using namespace std::chrono_literals;
using program::without_passwords;
using Words = std::vector<std::string>;

CommandLine parse(const Words &words) {
    std::vector<const char *> arguments = {"cdc_consumer"};
    for (const std::string &word : words) {
        arguments.push_back(word.c_str());
    }
    return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

// A complete `run` and more.
CommandLine run_with(const Words &more) {
    Words words = {"run", "--source", "host=db dbname=shop", "--slot", "s", "--sink", "sqlite:f.db"};
    words.insert(words.end(), more.begin(), more.end());
    return parse(words);
}

// The message of the refusal; empty if there was none.
std::string refusal(const Words &words) {
    try {
        parse(words);
        return {};
    } catch (const Failure &failure) {
        EXPECT_EQ(failure.code(), ExitCode::kUsage);
        EXPECT_EQ(std::string(failure.what()).find('\n'), std::string::npos) << failure.what();
        return failure.what();
    }
}

std::string run_refusal(const Words &more) {
    Words words = {"run", "--source", "host=db dbname=shop", "--slot", "s", "--sink", "sqlite:f.db"};
    words.insert(words.end(), more.begin(), more.end());
    return refusal(words);
}

class ConfigFile {
 public:
    explicit ConfigFile(const std::string &text) : name_("config_test." + std::to_string(getpid())) {
        std::ofstream(name_) << text;
    }
    ~ConfigFile() { unlink(name_.c_str()); }
    const std::string &name() const { return name_; }

 private:
    std::string name_;
};

TEST(ConsumerCommandLine, Defaults) {
    const CommandLine line = run_with({});
    EXPECT_EQ(line.command, Command::kRun);
    EXPECT_EQ(line.settings.source, "host=db dbname=shop");
    EXPECT_EQ(line.settings.slot, "s");
    EXPECT_EQ(line.settings.sink, "sqlite:f.db");
    EXPECT_EQ(line.settings.tables, "*.*");
    EXPECT_EQ(line.settings.exclude_tables, "");
    EXPECT_EQ(line.settings.on_lost_slot, OnLostSlot::kFail);
    EXPECT_FALSE(line.settings.until_caught_up);
    EXPECT_EQ(line.settings.group_time, 200ms);
    EXPECT_EQ(line.settings.queue_bytes, size_t{64} << 20);
    EXPECT_EQ(line.log_level, "info");
    EXPECT_EQ(line.progress, ProgressMode::kAuto);
}

TEST(ConsumerCommandLine, Values) {
    const CommandLine line = run_with({"--on-lost-slot",
                                       "resnapshot",
                                       "--on-rewrite=resnapshot",
                                       "--until-caught-up",
                                       "--snapshot-jobs",
                                       "8",
                                       "--group-changes",
                                       "1",
                                       "--group-time",
                                       "1s",
                                       "--sync-interval",
                                       "5min",
                                       "--idle-interval",
                                       "1h",
                                       "--stop-timeout",
                                       "0s",
                                       "--queue-size",
                                       "128MB",
                                       "--metrics",
                                       "[::1]:9187",
                                       "--log-level",
                                       "debug"});
    const Settings &settings = line.settings;
    EXPECT_EQ(settings.on_lost_slot, OnLostSlot::kResnapshot);
    EXPECT_EQ(settings.on_rewrite, OnRewrite::kResnapshot);
    EXPECT_TRUE(settings.until_caught_up);
    EXPECT_EQ(settings.snapshot_jobs, 8);
    EXPECT_EQ(settings.group_changes, 1);
    EXPECT_EQ(settings.group_time, 1s);
    EXPECT_EQ(settings.sync_interval, 5min);
    EXPECT_EQ(settings.idle_interval, 1h);
    EXPECT_EQ(settings.stop_timeout, 0s);
    EXPECT_EQ(settings.queue_bytes, size_t{128} << 20);
    EXPECT_EQ(settings.metrics_address, "[::1]:9187");
    EXPECT_EQ(line.log_level, "debug");
}

TEST(ConsumerCommandLine, Patterns) {
    EXPECT_EQ(run_with({"--tables", " public.a , audit.*", "--tables", "x.b"}).settings.tables, "public.a,audit.*,x.b");
    EXPECT_EQ(run_with({"--tables", R"(public.v1\.2,public.a\,b,public.c\ )"}).settings.tables,
              R"(public.v1\.2,public.a\,b,public.c\ )");
    EXPECT_EQ(run_with({"--exclude-tables", "*.*_log"}).settings.exclude_tables, "*.*_log");
    for (const char *const wrong : {"orders", "a.b.c", "a.", ".b", "a.b,", ",a.b", "a.b\\", " ", "a\\.b"}) {
        EXPECT_NE(run_refusal({"--tables", wrong}), "") << wrong;
    }
}

TEST(ConsumerCommandLine, RefusedValues) {
    const std::initializer_list<Words> wrong = {
        {"--group-time", "5"},
        {"--group-time", "0ms"},
        {"--group-time", "2min"},
        {"--group-time", "-1s"},
        {"--group-time", "1.5s"},
        {"--group-time", "99999999999999999h"},
        {"--group-time", ""},
        {"--queue-size", "1kB"},
        {"--queue-size", "64KB"},
        {"--queue-size", "17GB"},
        {"--queue-size", "x"},
        {"--snapshot-jobs", "0"},
        {"--snapshot-jobs", "2x"},
        {"--snapshot-jobs", "65"},
        {"--group-changes", "99999999999999999999"},
        {"--on-lost-slot", "retry"},
        {"--log-level", "loud"},
        {"--metrics", "9187"},
        {"--metrics", ":9187"},
        {"--metrics", "::1:9187"},
        {"--metrics", "1.2.3.4:0"},
        {"--metrics", "1.2.3.4:80s"},
        {"--metrics", "1.2.3.4:1,x:2"},
        {"--progress", "maybe"},
        {"--no-such-option", "1"},
        {"stray"},
        {"--slot", "t"},
        {"--json"},
        {"--config", "/no/such/file"},
    };
    for (const Words &words : wrong) {
        EXPECT_NE(run_refusal(words), "") << words.front() << ' ' << words.back();
    }
    EXPECT_EQ(run_refusal({"--group-time", "5"}), "--group-time: '5' is not a time");
}

TEST(ConsumerCommandLine, SlotAndSink) {
    const auto with = [](const std::string &slot, const std::string &sink) {
        return refusal({"run", "--source", "dbname=x", "--slot", slot, "--sink", sink});
    };
    EXPECT_EQ(with("shop_1", "sqlite:shop.db"), "");
    EXPECT_EQ(with("s", "postgres:host=there dbname=copy"), "");
    EXPECT_EQ(with("s", "postgres:postgresql://u@there/copy"), "");
    EXPECT_EQ(with("s", "jsonl:-"), "");
    EXPECT_NE(with("Shop", "sqlite:shop.db"), "");
    EXPECT_NE(with("shop-1", "sqlite:shop.db"), "");
    EXPECT_NE(with(std::string(64, 'a'), "sqlite:shop.db"), "");
    for (const char *const wrong : {"shop.db", "sqlite:", "sqlite::memory:", "jsonl:", "kafka:x", "postgresql://u@h/d",
                                    "postgres://u@h/d", "postgres:what", "postgres:dbname=x"}) {
        EXPECT_NE(with("s", wrong), "") << wrong;
    }
}

TEST(ConsumerCommandLine, WhatCommandsNeed) {
    EXPECT_NE(refusal({}), "");
    EXPECT_NE(refusal({"--slot", "s"}), "");
    EXPECT_NE(refusal({"walk"}), "");
    EXPECT_EQ(refusal({"run", "--slot", "s", "--sink", "jsonl:-"}), "--source is missing");
    EXPECT_EQ(refusal({"run", "--source", "", "--sink", "jsonl:-"}), "--slot is missing");
    EXPECT_EQ(refusal({"run", "--source", "", "--slot", "s"}), "--sink is missing");
    EXPECT_EQ(refusal({"run", "--source", "", "--slot", "s", "--sink", "jsonl:-"}), "");
    EXPECT_EQ(refusal({"run", "--source=what", "--slot", "s", "--sink", "jsonl:-"}),
              "--source is not a connection string");
    EXPECT_EQ(refusal({"status", "--source", "", "--slot", "s"}), "");
    EXPECT_TRUE(parse({"status", "--json", "--source", "", "--slot", "s"}).json);
    EXPECT_EQ(parse({"drop-slot", "--source", "", "--slot", "s"}).command, Command::kDropSlot);
    EXPECT_EQ(parse({"--source", "", "resnapshot", "--slot", "s", "--sink", "sqlite:f"}).command, Command::kResnapshot);
    EXPECT_EQ(parse({"replay", "changes.bin", "--sink", "sqlite:f"}).file, "changes.bin");
    EXPECT_EQ(parse({"replay", "--sink", "sqlite:f", "-"}).file, "-");
    EXPECT_EQ(refusal({"replay", "-"}), "--sink is missing");
    EXPECT_NE(refusal({"replay", "--sink", "sqlite:f"}), "");
    EXPECT_NE(refusal({"replay", "a", "b", "--sink", "sqlite:f"}), "");
    EXPECT_NE(run_refusal({"--sink", "jsonl:x", "--init-sql", "x.sql"}), "");
    EXPECT_NE(refusal({"replay", "a", "--sink", "jsonl:x", "--init-sql", "x.sql"}), "");
}

TEST(ConsumerCommandLine, Config) {
    const ConfigFile file(
        "# a comment\n"
        "\n"
        "source = host=db dbname=shop user=cdc   # the primary\n"
        "slot = s\n"
        "tables = public.orders, audit.*\n"
        "sink = \"postgres:password='a # b' user=\\\"u\\\"\"\n"
        "init-sql = 'views #1.sql'\n"
        "until-caught-up = true\n"
        "group-time=50ms\n");
    const Settings settings = parse({"run", "--config", file.name(), "--slot", "t"}).settings;
    EXPECT_EQ(settings.source, "host=db dbname=shop user=cdc");
    EXPECT_EQ(settings.slot, "t");
    EXPECT_EQ(settings.tables, "public.orders,audit.*");
    EXPECT_EQ(settings.sink, "postgres:password='a # b' user=\"u\"");
    EXPECT_EQ(settings.init_sql_file, "views #1.sql");
    EXPECT_TRUE(settings.until_caught_up);
    EXPECT_EQ(settings.group_time, 50ms);
}

TEST(ConsumerCommandLine, WrongConfig) {
    for (const char *const text : {"slots = s\n", "slot\n", "[run]\nslot = s\n", "slot = s\nslot = t\n", "slot = 's\n",
                                   "slot = 's' t\n", "= s\n", "group-time = 5\n", "tables = orders\n"}) {
        const ConfigFile file(text);
        EXPECT_NE(run_refusal({"--config", file.name()}), "") << text;
    }
    const ConfigFile file("slots = s\n");
    EXPECT_EQ(run_refusal({"--config", file.name()}), "config file: no option is called slots");
}

TEST(ConsumerCommandLine, Help) {
    const std::string help = parse({"--help"}).text;
    EXPECT_EQ(parse({"run", "--help"}).text, help);
    EXPECT_EQ(parse({"replay", "-h"}).text, help);
    EXPECT_EQ(parse({"--help"}).command, Command::kPrint);
    EXPECT_EQ(parse({"--version"}).text.find("cdc_consumer "), 0u);
    const std::regex option("--[a-z]+(-[a-z]+)*");
    std::set<std::string> names;
    for (std::sregex_iterator found(help.begin(), help.end(), option), end; found != end; ++found) {
        names.insert(found->str());
    }
    EXPECT_GE(names.size(), 25u);
    for (const std::string &name : names) {
        // Known options want a value, or are flags.
        EXPECT_EQ(run_refusal({name}).find("not expected"), std::string::npos) << name;
    }
    EXPECT_NE(run_refusal({"--unknown"}).find("not expected"), std::string::npos);
}

TEST(ConsumerCommandLine, PasswordsAreNotShown) {
    EXPECT_EQ(without_passwords("host=db password=secret user=u"), "host=db password=*** user=u");
    EXPECT_EQ(without_passwords("password = 'a \\' b' user=u"), "password = *** user=u");
    EXPECT_EQ(without_passwords("postgresql://u:secret@db/shop"), "postgresql://u:***@db/shop");
    EXPECT_EQ(without_passwords("postgresql://u@db:5432/shop"), "postgresql://u@db:5432/shop");
    // A conninfo that was not quoted.
    EXPECT_EQ(refusal({"run", "--source", "host=db", "password=secret"}).find("secret"), std::string::npos);
    EXPECT_EQ(refusal({"run", "--source", "", "--slot", "s", "--sink", "postgresql://u:secret@h/d"}).find("secret"),
              std::string::npos);
}

}  // namespace
}  // namespace cdc::consumer

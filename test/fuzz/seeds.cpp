// Writes the inputs that fuzzing starts from: DIRECTORY/TARGET/NUMBER. Usage: seeds DIRECTORY
#include "../unit/change_writer.hpp"
#include "../unit/sample_batch.hpp"
#include "../unit/tight_buffer.hpp"

#include "wire/records.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

using namespace cdc;

class Seeds {
 public:
    Seeds(const std::filesystem::path &directory, const char *target) : directory_(directory / target) {
        std::filesystem::create_directories(directory_);
    }

    void add(std::string_view bytes) {
        std::ofstream file(directory_ / std::to_string(++count_), std::ios::binary);
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        failed_ = failed_ || !file.flush();
    }

    bool failed() const { return failed_; }

 private:
    std::filesystem::path directory_;
    int count_ = 0;
    bool failed_ = false;
};

// A small table, and changes of it; and each record by itself.
void add_batches(Seeds &seeds) {
    for (const test::SampleRecord &sample : test::sample_records()) {
        test::TightBuffer out;
        sample.write(out);
        seeds.add(out.view());
    }
    test::TightBuffer relation;
    wire::write_relation_head(relation, 7, "s", "t", wire::ReplicaIdentity::kFull);
    for (const char *name : {"a", "b"}) {
        wire::write_relation_column(
            relation, {name, 23, "pg_catalog", "int4", -1, "integer", 0, true, wire::Generated::kNone, true, 0, 1});
    }
    wire::write_relation_end(relation, 0, {8, "s", "root"});
    test::TightBuffer out;
    wire::write_begin(out, {1, 2, 3, false, "", 0});
    wire::write_relation_record(out, relation.view());
    test::write_change(out, {wire::Op::kInsert, 1, 7},
                       [&] { test::ValueList(out, wire::change::after).integer(1).text("x"); });
    seeds.add(out.view());
    test::write_change(out, {wire::Op::kDelete, 2, 7, wire::Before::kFull},
                       [&] { test::ValueList(out, wire::change::before).null().bytes<wire::value::json>("[1,{}]"); });
    wire::write_commit(out, {1, 2, 3, 4, 5});
    seeds.add(out.view());
}

void add_options(Seeds &seeds) {
    seeds.add("format=json\nframing=delimited\npublic\norders");
    seeds.add(
        "batch_bytes=64kB\nmax_value_bytes=1GB\nmessages=off\nskip_empty_xacts=no\nchanged_columns=on\norigin=none");
    seeds.add(
        "actions=insert, update,delete,truncate\ntables=public.*, audit.*_log\nexclude_tables=*.secret\\**\na\nb_log");
    seeds.add("message_prefixes=app.*,x\\,y\nformat\nunknown=1\nformat=json\n*a*b\\*\naxb*");
}

void add_json(Seeds &seeds) {
    seeds.add(R"({"a": [1, -2.50, 1e5, true, false, null, "x\n\"\\"], "b": {"c": []}})");
    seeds.add(R"(["\u00e9\ud83d\ude00\u0000\ud800", "é😀"])");
    seeds.add("\n[ 1 ,\t2 ]\r\n");
    seeds.add("-0.0E-0");
}

void add_guard(Seeds &seeds) {
    seeds.add("orders: cap=10GB at_cap=drop; audit_*: cap=2kB, at_cap=terminate; *: cap = 7B\naudit_1");
    seeds.add("a: cap=1TB at_cap=warn;\na");
    seeds.add("notice=1h, warning=20min, critical=500ms\n");
    seeds.add("critical = 3 d");
}

void add_rows(Seeds &seeds) {
    seeds.add(std::string_view("\4\4\5\5\1\200\3\0\1", 9));
    seeds.add(std::string_view("\0\0\0\2\2\7\4\5\377\4\1\376", 12));
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: seeds DIRECTORY\n");
        return 2;
    }
    bool failed = false;
    const auto fill = [&](const char *target, void (*add)(Seeds &)) {
        Seeds seeds(argv[1], target);
        add(seeds);
        failed = failed || seeds.failed();
    };
    fill("decode", add_batches);
    fill("proto", add_batches);
    fill("options", add_options);
    fill("json", add_json);
    fill("rows", add_rows);
    fill("guard", add_guard);
    if (failed) {
        fprintf(stderr, "seeds: could not write to %s\n", argv[1]);
    }
    return failed ? 1 : 0;
}

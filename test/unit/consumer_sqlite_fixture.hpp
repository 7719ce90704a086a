// An SQLite sink in a file of its own, and batches to feed it with.
#pragma once

#include "change_writer.hpp"
#include "tight_buffer.hpp"

#include "consumer/model/stream_reader.hpp"
#include "consumer/sink/sink.hpp"
#include "wire/records.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace cdc::test {

struct TestColumn {
    std::string name;
    uint32_t type = 25;  // text
    uint32_t key_position = 0;
};

struct TestTable {
    uint32_t id = 100;
    std::string schema = "public";
    std::string name = "t";
    std::vector<TestColumn> columns = {{"id", 23, 1}, {"a"}, {"b"}};
    wire::ReplicaIdentity identity = wire::ReplicaIdentity::kDefault;
    uint32_t root_id = 0;
    std::string root = {};

    void write(wire::Buffer &out) const {
        const wire::Nested record = wire::begin_nested(out, wire::batch::records, 100);
        const wire::Nested body = wire::begin_nested(out, wire::record::relation, 100);
        wire::write_relation_head(out, id, schema, name, identity);
        for (const TestColumn &column : columns) {
            wire::ColumnRecord described{};
            described.name = column.name;
            described.type_oid = column.type;
            described.type_modifier = -1;
            described.primary_key_position = column.key_position;
            wire::write_relation_column(out, described);
        }
        if (root_id != 0) {
            wire::put_uint(out, wire::relation::root_relation_id, root_id);
            wire::put_bytes(out, wire::relation::root_schema, schema);
            wire::put_bytes(out, wire::relation::root_name, root);
        }
        wire::end_nested(out, body);
        wire::end_nested(out, record);
    }
    consumer::Relation relation() const {
        TightBuffer bytes;
        write(bytes);
        wire::Error error;
        wire::Reader reader(bytes.view(), bytes.view().data(), error);
        wire::RecordView record;
        wire::next_record(reader, record);
        return consumer::parse_relation(record.bytes);
    }
};

// "-" is NULL, "~" unchanged TOAST, "?" not in the replica identity; a number goes into the first column.
inline void write_row(wire::Buffer &out, uint32_t list, int64_t id, const std::vector<std::string> &texts) {
    ValueList row(out, list);
    row.integer(id);
    for (const std::string &text : texts) {
        if (text == "-" || text == "~" || text == "?") {
            row.absent(text == "-"   ? wire::Absent::kNull
                       : text == "~" ? wire::Absent::kUnchangedToast
                                     : wire::Absent::kNotInReplicaIdentity);
        } else {
            row.text(text);
        }
    }
}

class SqliteSinkTest : public ::testing::Test, private consumer::StreamEvents {
 protected:
    using Texts = std::vector<std::string>;

    SqliteSinkTest() {
        char folder[] = "/tmp/cdc_sqlite_XXXXXX";
        folder_ = mkdtemp(folder);
        file_ = folder_ + "/copy.db";
        options_.slot = state_.slot = "s";
        state_.system_identifier = "7000000000000000001";
        state_.database = "shop";
        state_.tables = "public.*";
        state_.phase = consumer::Phase::kStreaming;
    }
    ~SqliteSinkTest() override {
        sink_.reset();
        std::filesystem::remove_all(folder_);
    }

    consumer::Sink &sink() {
        if (sink_ == nullptr) {
            sink_ = consumer::open_sqlite_sink(file_, options_);
        }
        return *sink_;
    }
    void reopen() {
        sink_.reset();
        sink();
    }

    // What is written here is applied by the next apply().
    void table(const TestTable &table) { table.write(batch_); }
    void insert(const TestTable &table, int64_t id, const Texts &texts) {
        write_change(batch_, {wire::Op::kInsert, 1, table.id},
                     [&] { write_row(batch_, wire::change::after, id, texts); });
    }
    void update(const TestTable &table, wire::Before kind, int64_t old_id, const Texts &old_texts, int64_t id,
                const Texts &texts) {
        write_change(batch_, {wire::Op::kUpdate, 1, table.id, kind}, [&] {
            if (kind != wire::Before::kNone) {
                write_row(batch_, wire::change::before, old_id, old_texts);
            }
            write_row(batch_, wire::change::after, id, texts);
        });
    }
    void update(const TestTable &table, int64_t id, const Texts &texts) {
        update(table, wire::Before::kNone, 0, {}, id, texts);
    }
    void remove(const TestTable &table, int64_t id, const Texts &texts = {"?", "?"},
                wire::Before kind = wire::Before::kKey) {
        write_change(batch_, {wire::Op::kDelete, 1, table.id, kind},
                     [&] { write_row(batch_, wire::change::before, id, texts); });
    }
    void truncate(const TestTable &table) { wire::write_truncate(batch_, 1, &table.id, 1, false, false); }

    // As one group; rolled back if it fails.
    void apply() {
        sink().begin();
        try {
            apply_open();
            ++state_.position;
            sink().commit(state_);
        } catch (...) {
            sink().rollback();
            throw;
        }
    }
    void apply_open() {
        const std::string batch = batch_.str();
        batch_.used = 0;
        reader_->read(batch, *this);
    }
    // What apply() fails with.
    std::string failure() {
        try {
            apply();
        } catch (const consumer::Failure &failed) {
            return failed.what();
        }
        return "";
    }
    std::string take_batch() {
        std::string batch = batch_.str();
        batch_.used = 0;
        return batch;
    }

    // Rows of a query by another connection, as another program sees them: a|b, one a line.
    std::string query(const std::string &sql) {
        sqlite3 *other = nullptr;
        EXPECT_EQ(sqlite3_open(file_.c_str(), &other), SQLITE_OK);
        std::string rows;
        char *error = nullptr;
        const auto add = [](void *out, int count, char **values, char **) {
            auto &text = *static_cast<std::string *>(out);
            for (int i = 0; i < count; ++i) {
                text += (i == 0 ? "" : "|") + std::string(values[i] == nullptr ? "NULL" : values[i]);
            }
            text += '\n';
            return 0;
        };
        EXPECT_EQ(sqlite3_exec(other, sql.c_str(), add, &rows, &error), SQLITE_OK) << error;
        sqlite3_close(other);
        return rows;
    }

    std::map<uint32_t, consumer::Evolution> evolutions_;  // for the definitions to come, by relation
    std::vector<consumer::Relation> followed_;
    bool catching_up_ = false;  // behind begin_catch_up()
    consumer::SinkOptions options_;
    consumer::SinkState state_;
    std::string folder_;
    std::string file_;
    TightBuffer batch_;
    std::unique_ptr<consumer::StreamReader> reader_ = std::make_unique<consumer::StreamReader>();
    std::unique_ptr<consumer::Sink> sink_;

 private:
    bool begin(const consumer::Transaction &, const wire::RecordView &) override { return true; }
    void commit(const consumer::Transaction &, const wire::RecordView &) override {}
    void relation(const consumer::Relation &relation, const consumer::Relation *previous,
                  const wire::RecordView &) override {
        if (catching_up_) {
            // As the definitions that a sink tells of itself.
            for (consumer::Relation &known : followed_ = sink().relations(state_.slot)) {
                if (known.id == relation.id) {
                    previous = &known;
                }
            }
        }
        sink().define(relation, previous, previous == nullptr ? nullptr : &evolutions_[relation.id]);
    }
    void change(const consumer::Change &change, const wire::RecordView &record) override {
        sink().apply(change, record);
    }
    void truncate(const consumer::Truncation &truncation, const wire::RecordView &record) override {
        sink().truncate(truncation, record);
    }
    void message(const wire::EventView &, const wire::RecordView &) override {}
};

}  // namespace cdc::test

// An SQLite file and its statements. What goes wrong becomes a Failure that names the file.
#pragma once

#include "../model/failure.hpp"

#include <sqlite3.h>

#include <cstdint>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>

namespace cdc::consumer {

class Database;

// A prepared statement, kept to be run again and again.
class Statement {
 public:
    Statement() = default;

    sqlite3_stmt *get() const { return statement_.get(); }
    explicit operator bool() const { return statement_ != nullptr; }

    // Parameters count from 1. Text is copied by none of these: it must live until the statement has run.
    Statement &bind(int index, std::string_view text);
    Statement &bind(int index, int64_t number);
    Statement &bind_blob(int index, std::string_view bytes);

    // The next row; false if there is none left, and the statement may run again.
    bool step();
    // Runs a statement that returns no rows.
    void run() {
        if (step()) {
            sqlite3_reset(get());
        }
    }

    std::string text(int column) const;
    std::string_view blob(int column) const;  // until the next step()
    int64_t integer(int column) const { return sqlite3_column_int64(get(), column); }

 private:
    friend class Database;
    struct Finalizer {
        void operator()(sqlite3_stmt *statement) const { sqlite3_finalize(statement); }
    };
    Statement(Database &database, sqlite3_stmt *statement) : database_(&database), statement_(statement) {}

    Database *database_ = nullptr;
    std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

class Database {
 public:
    // Opens the file, making it if it is not there. Changes nothing in it.
    explicit Database(const std::string &file);
    ~Database();
    Database(const Database &) = delete;
    Database &operator=(const Database &) = delete;

    sqlite3 *get() const { return database_.get(); }
    const std::string &file() const { return file_; }

    // Makes the file one that readers and the writer share (WAL mode), and this the writer. Throws Failure if there is
    // another one.
    void enable_wal();

    // One or more statements, whose rows are of no interest.
    void run(const std::string &sql);
    Statement prepare(std::string_view sql);
    // Rows that the last statement changed itself, triggers apart.
    int64_t changes() const { return sqlite3_changes64(get()); }
    bool in_transaction() const { return sqlite3_get_autocommit(get()) == 0; }
    void rollback() noexcept;

    // Makes what has been committed durable, and moves what is in the WAL file into the database if that is much. May
    // be called from another thread than the rest.
    void sync();
    // Keeps the WAL file from growing for ever: moves it into the database where readers allow for it. `always`: even
    // if it is small.
    void shrink_wal(bool always);

    // Of the last error of `database` (by default, that of the rest). `what` says what was tried, if it was something
    // that can be named.
    [[noreturn]] void fail(const std::string &what = {}, ExitCode code = ExitCode::kFailed,
                           sqlite3 *database = nullptr) const;

 private:
    struct Closer {
        void operator()(sqlite3 *database) const { sqlite3_close_v2(database); }
    };
    void look();
    void open_beside();
    static int after_commit(void *self, sqlite3 *database, const char *name, int wal_pages);

    std::string file_;
    std::unique_ptr<sqlite3, Closer> database_;
    std::unique_ptr<sqlite3, Closer> beside_;  // a connection of sync()'s own
    std::atomic<int> wal_pages_{0};            // after the last commit
    int wal_ = -1;                             // file descriptor
};

// "order" with its quotes.
std::string quote_sqlite_name(std::string_view name);

}  // namespace cdc::consumer

#include "sqlite_database.hpp"

#include "file_lock.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace cdc::consumer {

namespace {

constexpr int kBusyMillis = 10000;
constexpr int kCheckpointBusyMillis = 200;
constexpr off_t kLargeWal = off_t{256} << 20;
constexpr int kPageSize = 8192;
constexpr int kMuchWal = (32 << 20) / kPageSize;      // worth moving beside the stream
constexpr int kTooMuchWal = (128 << 20) / kPageSize;  // the stream waits for it to be moved

// Nobody asks how much memory SQLite has; counting it takes a lock around each allocation.
const int kNoStatistics = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);

}  // namespace

std::string quote_sqlite_name(std::string_view name) {
    std::string quoted = "\"";
    for (const char c : name) {
        quoted.append(c == '"' ? 2 : 1, c);
    }
    return quoted += '"';
}

Statement &Statement::bind(int index, std::string_view text) {
    // An empty view may have no address, which SQLite would take for NULL.
    const char *const at = text.data() == nullptr ? "" : text.data();
    if (sqlite3_bind_text64(get(), index, at, text.size(), SQLITE_STATIC, SQLITE_UTF8) != SQLITE_OK) {
        database_->fail();
    }
    return *this;
}

Statement &Statement::bind(int index, int64_t number) {
    if (sqlite3_bind_int64(get(), index, number) != SQLITE_OK) {
        database_->fail();
    }
    return *this;
}

Statement &Statement::bind_blob(int index, std::string_view bytes) {
    const char *const at = bytes.data() == nullptr ? "" : bytes.data();
    if (sqlite3_bind_blob64(get(), index, at, bytes.size(), SQLITE_STATIC) != SQLITE_OK) {
        database_->fail();
    }
    return *this;
}

bool Statement::step() {
    const int result = sqlite3_step(get());
    if (result == SQLITE_ROW) {
        return true;
    }
    if (result == SQLITE_DONE) {
        sqlite3_reset(get());
        return false;
    }
    // Resetting keeps the error for fail(), and frees the database of the statement.
    sqlite3_reset(get());
    database_->fail();
}

std::string Statement::text(int column) const {
    return std::string(blob(column));
}

std::string_view Statement::blob(int column) const {
    const auto *const bytes = static_cast<const char *>(sqlite3_column_blob(get(), column));
    return std::string_view(bytes, bytes == nullptr ? 0 : static_cast<size_t>(sqlite3_column_bytes(get(), column)));
}

Database::Database(const std::string &file) : file_(file) {
    sqlite3 *database = nullptr;
    // Calls come from one thread at a time, so SQLite need not lock for each of them.
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    const int result = sqlite3_open_v2(file.c_str(), &database, flags, nullptr);
    database_.reset(database);
    if (result != SQLITE_OK) {
        fail("cannot open it");
    }
    sqlite3_extended_result_codes(database, 1);
    sqlite3_busy_timeout(database, kBusyMillis);
    look();
}

// The first one tells whether it is a database.
void Database::look() {
    run("SELECT count(*) FROM sqlite_master");
}

Database::~Database() {
    if (wal_ >= 0) {
        close(wal_);
    }
}

void Database::enable_wal() {
    // Of a new file. Rows mostly come in the order of their keys, so larger pages are fewer writes.
    run("PRAGMA page_size = " + std::to_string(kPageSize));
    Statement mode = prepare("PRAGMA journal_mode = WAL");
    if (!mode.step() || mode.text(0) != "wal") {
        throw Failure("SQLite file " + file_ + " cannot be put into WAL mode",
                      "It must be a file on a local file system.");
    }
    mode = Statement();
    run("PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 67108864;"
        "PRAGMA cache_size = -65536; PRAGMA foreign_keys = OFF");
    look();
    open_beside();
    // SQLite itself has it open now, and keeps it. (Its locks are not on this file: closing it releases none.)
    if (wal_ < 0) {
        wal_ = open(sqlite3_filename_wal(sqlite3_db_filename(get(), "main")), O_RDWR | O_CLOEXEC);
    }
    if (wal_ < 0) {
        throw Failure("SQLite file " + file_ + ": cannot open its WAL file: " + std::strerror(errno));
    }
    lock_file(wal_, "SQLite file " + file_);
}

// A checkpoint waits for the disk twice; on a connection of its own it does so while the stream goes on.
void Database::open_beside() {
    sqlite3 *database = nullptr;
    const int result = sqlite3_open_v2(file_.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    beside_.reset(database);
    if (result != SQLITE_OK || sqlite3_exec(database, "PRAGMA synchronous = NORMAL; SELECT count(*) FROM sqlite_master",
                                            nullptr, nullptr, nullptr) != SQLITE_OK) {
        fail("cannot open it a second time", ExitCode::kFailed, database);
    }
    sqlite3_wal_hook(get(), after_commit, this);
}

// In place of SQLite's own hook, which checkpoints at a fixed size. Like that one it leaves errors to who meets them
// next.
int Database::after_commit(void *self, sqlite3 *database, const char *name, int wal_pages) {
    static_cast<Database *>(self)->wal_pages_ = wal_pages;
    if (wal_pages >= kTooMuchWal) {
        sqlite3_wal_checkpoint_v2(database, name, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    }
    return SQLITE_OK;
}

void Database::run(const std::string &sql) {
    if (sqlite3_exec(get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
        fail();
    }
}

Statement Database::prepare(std::string_view sql) {
    sqlite3_stmt *statement = nullptr;
    if (sqlite3_prepare_v3(get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement,
                           nullptr) != SQLITE_OK) {
        fail();
    }
    return Statement(*this, statement);
}

void Database::rollback() noexcept {
    if (in_transaction()) {
        sqlite3_exec(get(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
}

// With synchronous=NORMAL, a commit writes to the WAL file without syncing it. Frames that a checkpoint has moved on
// are durable in the database file before the WAL is used anew, so syncing the WAL makes all commits durable. A
// checkpoint would not do: one that is blocked by readers, or has nothing to move, syncs nothing. (The WAL's entry in
// its folder is durable since SQLite wrote its header.)
void Database::sync() {
    if (wal_ >= 0 && fdatasync(wal_) != 0) {
        // The kernel may have dropped the pages that it could not write: trying again could succeed wrongly.
        throw Failure("SQLite file " + file_ + ": cannot be made durable: " + std::strerror(errno),
                      "Look at the disk; then start again: the copy goes on from the last commit that is in the file.");
    }
    if (wal_pages_ >= kMuchWal) {
        const int result =
            sqlite3_wal_checkpoint_v2(beside_.get(), "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
        if (result != SQLITE_OK && (result & 0xFF) != SQLITE_BUSY && (result & 0xFF) != SQLITE_LOCKED) {
            fail("checkpoint", ExitCode::kFailed, beside_.get());
        }
    }
}

void Database::shrink_wal(bool always) {
    struct stat status;
    if (wal_ < 0 || fstat(wal_, &status) != 0 || (!always && status.st_size < kLargeWal)) {
        return;
    }
    // Readers that stay may stop this; they must not stop the stream for long.
    sqlite3_busy_timeout(get(), kCheckpointBusyMillis);
    const int result = sqlite3_wal_checkpoint_v2(get(), "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    sqlite3_busy_timeout(get(), kBusyMillis);
    if (result != SQLITE_OK && (result & 0xFF) != SQLITE_BUSY && (result & 0xFF) != SQLITE_LOCKED) {
        fail("checkpoint");
    }
}

void Database::fail(const std::string &what, ExitCode code, sqlite3 *database) const {
    const std::string file = "SQLite file " + file_;
    if (database == nullptr) {
        database = get();
    }
    if (database == nullptr) {
        throw Failure(file + ": out of memory");
    }
    const int error = sqlite3_extended_errcode(database);
    const int cause = sqlite3_system_errno(database);
    std::string message = file + ": " + (what.empty() ? "" : what + ": ") + sqlite3_errmsg(database);
    switch (error & 0xFF) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            throw Failure(file + " is locked by another program",
                          "Let nothing else write to it for longer than a few seconds, then start again.");
        case SQLITE_NOTADB:
            throw Failure(file + " is not an SQLite database", "Name another file, or move this one away.");
        case SQLITE_FULL:
            throw Failure(file + ": no space left on its disk",
                          "Make room, then start again: the copy goes on from its last commit.");
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
            throw Failure(message + (cause == 0 ? "" : std::string(" (") + std::strerror(cause) + ')'),
                          "Look at the file, its folder and its disk, then start again.");
        default:
            throw Failure(message, {}, code);
    }
}

}  // namespace cdc::consumer

// A line for each slot: its name and its level.
#include "levels_file.hpp"

namespace cdc::guard {

namespace {

constexpr char kPath[] = PGSTAT_STAT_PERMANENT_DIRECTORY "/cdc_plugin.guard";
constexpr char kTemporary[] = PGSTAT_STAT_PERMANENT_DIRECTORY "/cdc_plugin.guard.tmp";
constexpr char kHeader[] = "cdc_plugin guard 1\n";

struct Line {
    char slot[NAMEDATALEN];
    Level level;
};

Line *loaded;
int loaded_count;

}  // namespace

void save_levels() {
    // A copy, so that nobody waits for the disk with the lock held.
    auto *const lines = static_cast<Line *>(palloc(sizeof(Line) * static_cast<Size>(Max(max_replication_slots, 1))));
    int count = 0;
    LWLockAcquire(shared->lock, LW_SHARED);
    for (int i = 0; i < max_replication_slots; ++i) {
        const SlotEntry &entry = entries[i];
        if (entry.used && entry.track.level != Level::kOk) {
            strlcpy(lines[count].slot, NameStr(entry.name), NAMEDATALEN);
            lines[count++].level = entry.track.level;
        }
    }
    LWLockRelease(shared->lock);

    FILE *const file = AllocateFile(kTemporary, PG_BINARY_W);
    if (file == nullptr) {
        ereport(DEBUG1, errcode_for_file_access(), errmsg_internal("could not write file \"%s\": %m", kTemporary));
        return;
    }
    bool ok = fputs(kHeader, file) >= 0;
    for (int i = 0; i < count; ++i) {
        ok = fprintf(file, "%s %s\n", lines[i].slot, word(lines[i].level)) > 0 && ok;
    }
    ok = FreeFile(file) == 0 && ok;
    if (!ok || rename(kTemporary, kPath) != 0) {
        ereport(DEBUG1, errcode_for_file_access(), errmsg_internal("could not write file \"%s\": %m", kPath));
        unlink(kTemporary);
    }
}

void load_levels() {
    forget_loaded_levels();
    FILE *const file = AllocateFile(kPath, PG_BINARY_R);
    if (file == nullptr) {
        return;
    }
    char line[NAMEDATALEN + 32];
    if (fgets(line, sizeof line, file) != nullptr && strcmp(line, kHeader) == 0) {
        loaded = static_cast<Line *>(
            MemoryContextAllocZero(TopMemoryContext, sizeof(Line) * static_cast<Size>(Max(max_replication_slots, 1))));
        while (loaded_count < max_replication_slots && fgets(line, sizeof line, file) != nullptr) {
            char *const space = strchr(line, ' ');
            char *const end = strchr(line, '\n');
            Level level;
            if (space == nullptr || end == nullptr || space - line >= NAMEDATALEN) {
                break;
            }
            *space = *end = '\0';
            if (!parse_word(space + 1, level)) {
                break;
            }
            strlcpy(loaded[loaded_count].slot, line, NAMEDATALEN);
            loaded[loaded_count++].level = level;
        }
    }
    FreeFile(file);
}

Level loaded_level(const char *slot) {
    for (int i = 0; i < loaded_count; ++i) {
        if (strcmp(loaded[i].slot, slot) == 0) {
            return loaded[i].level;
        }
    }
    return Level::kOk;
}

void forget_loaded_levels() {
    if (loaded != nullptr) {
        pfree(loaded);
        loaded = nullptr;
        loaded_count = 0;
    }
}

}  // namespace cdc::guard

// The copy of all tables that a stream starts from: made anew, or completed where one was interrupted.
#pragma once

#include "counters.hpp"
#include "settings.hpp"
#include "snapshot.hpp"

#include "../model/stream_reader.hpp"
#include "../sink/sink.hpp"
#include "../source/source.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

namespace cdc::consumer {

class Copy {
 public:
    // `state` is the sink's, and is kept up to date.
    Copy(const Settings &settings, Source &source, Sink &sink, SinkState &state, Counters &counters,
         const std::atomic<bool> &stop);

    // A new slot, and the tables as of its start.
    void make_anew();
    // What an interrupted copy lacks, and the stream of its slot up to there. False if only a new copy will do: the log
    // says why. `connected` as for stream().
    bool complete(StreamReader &reader, const std::function<void()> &connected);

    // Logs what a copy that is left as it is means for the slot.
    static void say_kept(const std::string &slot);

    // How Settings' tables are kept in the sink's state.
    static std::string selection(const Settings &settings);

 private:
    // All of complete() but the swap.
    bool catch_up(StreamReader &reader, const std::function<void()> &connected);
    void check_files(const CopyProgress &progress);
    bool can_complete(const CopyProgress &progress);
    void copy_rest(const CopyProgress &progress);
    std::vector<SourceTable> tables_under(const std::string &snapshot);
    void copy_blocks(const std::string &snapshot, const std::vector<SourceTable> &tables,
                     const std::vector<Relation> &relations, const std::vector<CopiedRange> &done);
    void count(const SnapshotProgress &progress);
    void finish();
    bool keep() noexcept;
    void drop_quietly() noexcept;

    const Settings &settings_;
    Source &source_;
    Sink &sink_;
    SinkState &state_;
    Counters &counters_;
    const std::atomic<bool> &stop_;
    uint64_t rows_ = 0;  // copied by this object
};

}  // namespace cdc::consumer

// The stream of a slot into a sink that has a copy: until a stop, up to a target, or until something breaks.
#pragma once

#include "counters.hpp"
#include "settings.hpp"

#include "../model/stream_reader.hpp"
#include "../sink/sink.hpp"
#include "../source/source.hpp"

#include <atomic>
#include <functional>

namespace cdc::consumer {

// Throws SlotLost if the slot is not at or before the sink's position. `target`: return when everything before it is in
// the sink; 0: go on. `connected` is called when the first message has come: this connection works.
void stream(const Settings &settings, Source &source, Sink &sink, StreamReader &reader, SinkState &state, Lsn target,
            Counters &counters, const std::atomic<bool> &stop, const std::function<void()> &connected);

}  // namespace cdc::consumer

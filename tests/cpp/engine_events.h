// Events for tests of the engine, and functions that play them in blocks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/engine.h"

inline audiogen::engine::Event note_on(std::uint32_t offset, std::uint32_t id, float pitch) {
  return {offset, audiogen::engine::EventKind::kNoteOn, id, id % 2, pitch, 0.7f};
}

inline audiogen::engine::Event note_off(std::uint32_t offset, std::uint32_t id) {
  return {offset, audiogen::engine::EventKind::kNoteOff, id, 0, 0.0f, 0.0f};
}

// Plays events, whose offsets count from the first sample, block by block, and calls a function
// after each block.
template <typename After>
std::vector<float> play(audiogen::engine::Engine& engine,
                        const std::vector<audiogen::engine::Event>& events, std::size_t n,
                        const std::vector<std::size_t>& sizes, const After& after) {
  std::vector<float> out(n);
  std::vector<audiogen::engine::Event> now;
  std::size_t which = 0, next = 0;
  for (std::size_t done = 0; done < n;) {
    const std::size_t size = std::min(sizes[which++ % sizes.size()], n - done);
    now.clear();
    for (; next < events.size() && events[next].offset < done + size; ++next) {
      now.push_back(events[next]);
      now.back().offset -= static_cast<std::uint32_t>(done);
    }
    engine.process(out.data() + done, size, now);
    done += size;
    after();
  }
  return out;
}

inline std::vector<float> play(audiogen::engine::Engine& engine,
                               const std::vector<audiogen::engine::Event>& events, std::size_t n,
                               const std::vector<std::size_t>& sizes) {
  return play(engine, events, n, sizes, [] {});
}

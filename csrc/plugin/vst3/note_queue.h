// Queue of notes from the window's keyboard to the audio thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace audiogen::plugin::vst3 {

// One thread pushes, another pops; neither waits.
class NoteQueue {
 public:
  struct Note {
    std::uint8_t pitch = 0;
    float velocity = 0.0f;  // 0: note off
  };

  // A note is lost while the queue is full.
  void push(Note note) noexcept {
    const std::size_t end = end_.load(std::memory_order_relaxed);
    if (end - begin_.load(std::memory_order_acquire) == kCapacity) return;
    notes_[end % kCapacity] = note;
    end_.store(end + 1, std::memory_order_release);
  }

  bool pop(Note& note) noexcept {
    const std::size_t begin = begin_.load(std::memory_order_relaxed);
    if (begin == end_.load(std::memory_order_acquire)) return false;
    note = notes_[begin % kCapacity];
    begin_.store(begin + 1, std::memory_order_release);
    return true;
  }

 private:
  static constexpr std::size_t kCapacity = 256;
  std::array<Note, kCapacity> notes_{};
  std::atomic<std::size_t> begin_ = 0, end_ = 0;
};

}  // namespace audiogen::plugin::vst3

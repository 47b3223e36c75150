// Frames of a generator that something else computes, such as a GPU: which ones an engine asks for,
// and a table of them.
//
//   auto table = std::make_shared<models::FrameTable>(config);
//   ...  // render once with the table: the streams ask for the frames of each note
//   for (std::size_t i = 0; i < table->notes().size(); ++i) table->fill(i, frames_of(i));
//   ...  // render again: the streams copy the frames
//
// The first pass is exact because what an engine plays does not depend on the frames' contents,
// except that notes may end earlier once they are silent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/realtime.h"
#include "models/gansynth.h"

namespace audiogen::models {

// Not for live engines: while it collects, it allocates.
class FrameTable {
 public:
  static constexpr std::size_t kNone = ~std::size_t{0};

  // A note and its frames, first <= frame < end.
  struct Note {
    std::vector<float> z;
    float pitch = 60.0f;
    float velocity = 1.0f;
    std::uint64_t seed = 0;
    std::uint32_t noise_stream = 0;
    Partials partials;
    std::size_t first = 0;
    std::size_t end = 0;
    std::vector<float> image;  // [2, end - first, n_bins], in the generator's units
  };

  explicit FrameTable(const GeneratorConfig& config) : n_bins_(config.n_bins()) {}

  const std::vector<Note>& notes() const { return notes_; }
  std::size_t n_bins() const { return n_bins_; }
  // Sets the frames of a note, [2, end - first, n_bins]; the first call ends the collecting.
  void fill(std::size_t note, const float* image);

  // For streams. While collecting, returns the index of a note, which is added if it is new; later
  // kNone if there is no such note.
  std::size_t find(const NoteInput& note) noexcept AUDIOGEN_REALTIME;
  // Writes a frame, [n_bins] each. While collecting, notes that it is wanted, and writes the
  // loudest spectrum, with which no note ends early. Returns false if the table does not have it.
  bool read(std::size_t note, std::size_t frame, float* log_magnitude,
            float* phase) noexcept AUDIOGEN_REALTIME;

 private:
  std::size_t n_bins_;
  bool collecting_ = true;
  std::vector<Note> notes_;
  std::vector<std::size_t> order_;  // indices of the notes by their input
};

}  // namespace audiogen::models

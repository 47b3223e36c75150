// Finds the frames of a note by its input.
#include "models/frame_table.h"

#include <algorithm>

namespace audiogen::models {
namespace {

// Negative, 0 or positive, as the note's input is before, at or after another.
int compare(const FrameTable::Note& note, const NoteInput& input) noexcept AUDIOGEN_REALTIME {
  const auto order = [](auto a, auto b) { return a < b ? -1 : (b < a ? 1 : 0); };
  if (const int by = order(note.seed, input.seed)) return by;
  if (const int by = order(note.noise_stream, input.noise_stream)) return by;
  if (const int by = order(note.pitch, input.pitch)) return by;
  if (const int by = order(note.velocity, input.velocity)) return by;
  for (std::size_t i = 0; i < note.z.size(); ++i) {
    if (const int by = order(note.z[i], input.z[i])) return by;
  }
  const auto own = note.partials.ratios(), others = input.partials.ratios();
  if (std::ranges::lexicographical_compare(own, others)) return -1;
  return std::ranges::lexicographical_compare(others, own) ? 1 : 0;
}

}  // namespace

void FrameTable::fill(std::size_t note, const float* image) {
  collecting_ = false;
  Note& filled = notes_.at(note);
  filled.image.assign(image, image + 2 * (filled.end - filled.first) * n_bins_);
}

std::size_t FrameTable::find(const NoteInput& note) noexcept AUDIOGEN_REALTIME {
  std::size_t low = 0, high = order_.size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    const int side = compare(notes_[order_[middle]], note);
    if (side == 0) return order_[middle];
    (side < 0 ? low : high) = side < 0 ? middle + 1 : middle;
  }
  if (!collecting_) return kNone;
  const std::size_t added = notes_.size();
  AUDIOGEN_OFFLINE({
    notes_.push_back({{note.z.begin(), note.z.end()},
                      note.pitch,
                      note.velocity,
                      note.seed,
                      note.noise_stream,
                      note.partials,
                      0,
                      0,
                      {}});
    order_.insert(order_.begin() + static_cast<std::ptrdiff_t>(low), added);
  })
  return added;
}

bool FrameTable::read(std::size_t note, std::size_t frame, float* log_magnitude,
                      float* phase) noexcept AUDIOGEN_REALTIME {
  if (note == kNone) return false;
  Note& found = notes_[note];
  if (collecting_) {
    found.first = found.end == 0 ? frame : std::min(found.first, frame);
    found.end = std::max(found.end, frame + 1);
    std::fill_n(log_magnitude, n_bins_, 1.0f);
    std::fill_n(phase, n_bins_, 0.0f);
    return true;
  }
  if (frame < found.first || frame >= found.end || found.image.empty()) return false;
  const float* const from = found.image.data() + (frame - found.first) * n_bins_;
  std::copy_n(from, n_bins_, log_magnitude);
  std::copy_n(from + (found.end - found.first) * n_bins_, n_bins_, phase);
  return true;
}

}  // namespace audiogen::models

// One instance of a plug-in, whatever its format: a synth whose preset may change or be missing,
// the events of the current block, and the state that projects keep.
//
//   Instance instance({bundle + "/presets"}, true);
//   instance.activate(48000, 512);
//   for each block: instance.midi(bytes, n, offset); ...; instance.process(outputs, n, nullptr,
//   false);
//
// Threads. Control functions lock a mutex among themselves and may read files. Functions of the
// audio thread neither lock nor allocate, except that `process` waits while the host renders a
// file.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "capi/audiogen.h"

namespace audiogen::plugin {

template <auto destroy>
struct Destroy {
  template <class T>
  void operator()(T* pointer) const {
    destroy(pointer);
  }
};
using Preset = std::unique_ptr<audiogen_preset, Destroy<audiogen_close>>;
using PresetList = std::unique_ptr<audiogen_preset_list, Destroy<audiogen_free_presets>>;
using State = std::unique_ptr<audiogen_state, Destroy<audiogen_state_destroy>>;

class Instance {
 public:
  static constexpr std::size_t kChannels = 2;
  static constexpr std::size_t kInputs = 2;
  static constexpr int kDefaultTimbre = -1;

  // `folders` are searched for presets in addition to those of `audiogen_find_presets`. With
  // `realtime` a thread renders ahead while the host plays, otherwise `process` always renders.
  Instance(std::vector<std::string> folders, bool realtime);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  // --- Control ---

  // Opens the preset if none is open: the state's, or else "plucked", or else the first. Not while
  // `process` runs. Blocks longer than `max_block` may be late while the host plays.
  void activate(std::uint32_t sample_rate, std::uint32_t max_block);
  // Silences everything; the settings stay. Not while `process` runs.
  void deactivate();

  // Names of all presets that were found at construction.
  const std::vector<std::string>& presets() const { return names_; }
  // Index in `presets` of the one that was opened last; -1 before. Any thread.
  int preset_index() const { return open_index_.load(std::memory_order_relaxed); }
  // Whether the preset is missing or damaged, and the instance therefore silent. Any thread.
  bool missing() const { return muted_.load(std::memory_order_relaxed); }
  // Name of the preset, also while it is missing; empty before the first `activate`.
  std::string preset_name();
  // Names of the open preset's timbres.
  std::vector<std::string> timbres();
  // Index of the chosen timbre; kDefaultTimbre for the preset's default.
  int timbre() const { return timbre_.load(std::memory_order_relaxed); }

  // Change what is played; false with a message in `status` where that is not possible, and then
  // nothing has changed. A name that is not found is not possible; in a state it is (see `read`).
  bool open_preset(const std::string& name);
  bool choose_timbre(const std::string& name);
  bool set_latent(const float* z, std::size_t n);
  void set_seed(std::uint64_t seed);

  // Writes the state; false if `write` failed.
  bool write_state(audiogen_write write, void* context);
  // Takes over a state; false with a message in `status` if it is damaged, and then nothing has
  // changed. A state whose preset is missing is kept, with silence and a message.
  bool read_state(audiogen_read read, void* context);

  // What the user should know, such as a missing preset; empty if all is well.
  std::string status();
  // Changes with `preset_name`, `timbre` and `status`. Any thread.
  std::uint32_t revision() const { return revision_.load(std::memory_order_acquire); }

  // Index of the timbre that the next MIDI note has, by the last choice or program change; -1 while
  // no synth plays. Any thread.
  int playing_timbre() const { return playing_timbre_.load(std::memory_order_relaxed); }
  // The keys that the host or a window holds: bit k of word w is pitch 64 w + k. Any thread.
  using Keys = std::array<std::uint64_t, 2>;
  Keys keys() const {
    return {keys_[0].load(std::memory_order_relaxed), keys_[1].load(std::memory_order_relaxed)};
  }

  // Value of a parameter of the table as the user set it, or its initial value. Any thread.
  float parameter(std::size_t index) const {
    return values_[index].load(std::memory_order_relaxed);
  }

  // --- Audio thread: events of the next `process`, in any order ---

  void midi(const std::uint8_t* bytes, std::size_t n, std::uint32_t offset) noexcept;
  // `key` tells the notes that are held apart; `pitch` is a MIDI number, which may have a fraction.
  void note_on(std::int32_t key, float pitch, float velocity, std::uint32_t offset) noexcept;
  void note_off(std::int32_t key, std::uint32_t offset) noexcept;
  // Expression of a held note: one of the kinds AUDIOGEN_NOTE_BEND, _LEVEL and _SLIDE. With the
  // offset of the note-on it holds from the note's start.
  void express(std::int32_t key, audiogen_event_kind kind, float value,
               std::uint32_t offset) noexcept;
  void set_parameter(std::size_t index, float value, std::uint32_t offset) noexcept;
  // For the whole block, and later ones. `anew` also ends what program changes have chosen since
  // the same timbre was chosen before.
  void choose_timbre(int index, bool anew = false) noexcept;
  // Opens a preset on another thread. The next blocks play the former one until it is open, unless
  // the host renders a file: then the next block waits.
  void request_preset(int index) noexcept;
  // Index of the preset that is or is being opened; -1: none of the presets that were found.
  int wanted_preset() const noexcept;

  // Writes `n` samples to each of kChannels outputs. `inputs` has kInputs pointers or is null.
  // `offline` says that the host renders a file.
  void process(float* const* outputs, std::size_t n, const float* const* inputs,
               bool offline) noexcept;
  // Samples from an event to its sound; those of the last synth while there is none.
  std::uint32_t latency() const noexcept { return latency_.load(std::memory_order_relaxed); }
  bool sounding() const noexcept;
  // Peak of a channel in the last block, 1 is full scale. Any thread.
  float level(std::size_t channel) const noexcept {
    return levels_[channel].load(std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t kMostEvents = 4096;
  static constexpr std::size_t kMostHeld = 256;
  using Clock = std::chrono::steady_clock;

  struct Held {
    std::int32_t key = 0;
    std::uint32_t id = 0;  // 0: free
  };

  // These want the lock.
  bool open(const std::string& name, bool keep_missing);
  void start_synth();
  void set_status(std::string message);
  void post(const audiogen_event& event);
  void post_parameters();
  void update_timbre();
  void drop_replaced_latent();
  void apply_state(State state);
  audiogen_settings settings() const;

  void load_requested();
  void add(audiogen_event event) noexcept;
  void track_keys(const audiogen_event& event) noexcept;
  void forget_keys() noexcept;
  void apply_timbre(audiogen_synth* synth) noexcept;
  // Whether the host asks for blocks faster than they last, so that it can't be playing them.
  bool ahead_of_time(std::size_t n) noexcept;

  const std::vector<std::string> folders_;
  const bool realtime_;
  std::vector<std::string> names_;  // of the presets that were found
  std::vector<std::string> preset_folders_;

  std::mutex control_;
  State state_;    // what was read last, with its preset, hash, seed, latent and unknown parameters
  Preset preset_;  // open, or null
  std::string status_;
  std::uint32_t sample_rate_ = 0;  // Hz; 0: not active
  std::uint32_t max_block_ = 0;
  std::thread loader_;

  std::atomic<audiogen_synth*> synth_ = nullptr;  // deleted while `process` does not run
  std::atomic<std::uint32_t> revision_ = 0;
  std::atomic<std::uint32_t> latency_ = 0;
  std::array<std::atomic<float>, kChannels> levels_{};
  std::array<std::atomic<std::uint64_t>, 2> keys_{};
  std::atomic<int> playing_timbre_ = -1;
  std::atomic<bool> muted_ = false;  // the preset is missing
  std::atomic<int> open_index_ = -1;
  std::atomic<bool> stop_ = false;   // to the loader
  std::atomic<int> requested_ = -1;  // preset that the loader opens or is opening; -1: none
  std::atomic<int> timbre_ = kDefaultTimbre;
  std::atomic<int> latent_timbre_ = -1;        // index of the state's latent as a timbre
  std::atomic<bool> latent_replaced_ = false;  // by a timbre; the state still has it
  std::atomic<std::uint32_t> n_timbres_ = 0;   // of the open preset
  std::atomic<std::uint32_t> default_timbre_ = 0;
  std::atomic<std::uint32_t> timbre_change_ = 0;  // counts changes of the four above
  std::vector<std::atomic<float>> values_;        // of the parameters
  std::vector<std::atomic<bool>> is_set_;         // by the user

  // Members of the audio thread.
  std::vector<float> input_[kInputs];
  std::vector<audiogen_event> events_;
  std::size_t n_events_ = 0;
  std::vector<bool> moved_by_midi_;  // parameters, after they were set
  std::array<Held, kMostHeld> held_{};
  std::size_t next_held_ = 0;
  std::array<std::pair<std::uint32_t, std::uint8_t>, kMostHeld>
      sounding_{};  // id, pitch; id 0: free
  std::uint32_t n_notes_ = 0;
  bool events_lost_ = false;
  std::uint32_t applied_timbre_change_ = 0;
  audiogen_synth* applied_synth_ = nullptr;
  Clock::time_point last_call_{};
  double last_block_s_ = 0.0;
  double ahead_s_ = 0.0;
};

}  // namespace audiogen::plugin

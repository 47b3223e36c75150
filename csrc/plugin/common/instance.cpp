// The instance's control functions, its loader thread and its audio thread.
#include "plugin/common/instance.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace audiogen::plugin {

static constexpr const char* kFirstChoice = "plucked";
static constexpr std::uint32_t kLargestBlock = 65536;
// How often the loader looks for a request; the audio thread can't wake it without a system call.
static constexpr std::chrono::milliseconds kLoaderNap(20);
static constexpr std::chrono::milliseconds kOfflineNap(1);
// Share of a block's duration that counts when comparing a host's time with the clock's: a sound
// card's clock may be faster than the computer's by less than the rest.
static constexpr double kClockShare = 0.99;
static constexpr double kMostAhead = 1.0;      // s
static constexpr double kShortestWait = 1e-3;  // s
static constexpr float kRounding = 1e-6f;      // of a parameter's range
// Blocks up to this size may have their input in the output's memory.
static constexpr std::uint32_t kLeastCopied = 8192;

Instance::Instance(std::vector<std::string> folders, bool realtime)
    : folders_(std::move(folders)),
      realtime_(realtime),
      state_(audiogen_state_create()),
      values_(audiogen_n_parameters()),
      is_set_(audiogen_n_parameters()),
      events_(kMostEvents),
      moved_by_midi_(audiogen_n_parameters()) {
  std::vector<const char*> texts;
  for (const std::string& folder : folders_) texts.push_back(folder.c_str());
  if (const PresetList list(audiogen_find_presets(texts.data(), texts.size())); list) {
    for (std::size_t i = 0; i < audiogen_n_found(list.get()); ++i) {
      names_.emplace_back(audiogen_found_name(list.get(), i));
      preset_folders_.emplace_back(audiogen_found_folder(list.get(), i));
    }
  }
  for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = audiogen_parameter_info(i)->initial;
}

Instance::~Instance() {
  stop_ = true;
  if (loader_.joinable()) loader_.join();
  audiogen_destroy(synth_);
}

// Control.

audiogen_settings Instance::settings() const {
  audiogen_settings settings = audiogen_default_settings();
  settings.sample_rate = sample_rate_;
  settings.max_block = max_block_;
  settings.n_channels = kChannels;
  settings.n_inputs = kInputs;
  settings.seed = audiogen_state_seed(state_.get());
  settings.realtime = realtime_ ? 1 : 0;
  return settings;
}

void Instance::activate(std::uint32_t sample_rate, std::uint32_t max_block) {
  const std::lock_guard lock(control_);
  sample_rate_ = sample_rate;
  max_block_ = std::clamp<std::uint32_t>(max_block, 1, kLargestBlock);
  if (preset_) {
    start_synth();
  } else if (const std::string name = audiogen_state_preset(state_.get()); !name.empty()) {
    open(name, true);
  } else if (names_.empty()) {
    set_status(
        "no presets were found beside the plug-in, in ~/.local/share/audiogen/presets or in the "
        "folders of $AUDIOGEN_PRESETS");
  } else {
    const bool has_first = std::ranges::find(names_, kFirstChoice) != names_.end();
    open(has_first ? kFirstChoice : names_.front(), true);
  }
  ahead_s_ = last_block_s_ = 0.0;
  for (std::vector<float>& input : input_) input.resize(std::max(max_block_, kLeastCopied));
  if (!loader_.joinable()) {
    loader_ = std::thread([this] {
      while (!stop_) {
        load_requested();
        std::this_thread::sleep_for(kLoaderNap);
      }
    });
  }
}

void Instance::deactivate() {
  const std::lock_guard lock(control_);
  audiogen_destroy(synth_.exchange(nullptr));
  sample_rate_ = 0;
  n_events_ = 0;
  held_.fill({});
  forget_keys();
  playing_timbre_ = -1;
}

std::string Instance::preset_name() {
  const std::lock_guard lock(control_);
  return audiogen_state_preset(state_.get());
}

std::vector<std::string> Instance::timbres() {
  const std::lock_guard lock(control_);
  std::vector<std::string> names;
  for (std::size_t i = 0; preset_ && i < audiogen_preset_n_timbres(preset_.get()); ++i) {
    names.emplace_back(audiogen_preset_timbre(preset_.get(), i));
  }
  return names;
}

std::string Instance::status() {
  const std::lock_guard lock(control_);
  return status_;
}

void Instance::set_status(std::string message) {
  status_ = std::move(message);
  revision_.fetch_add(1, std::memory_order_release);
}

void Instance::post(const audiogen_event& event) {
  if (audiogen_synth* synth = synth_) audiogen_post(synth, &event);
}

bool Instance::open_preset(const std::string& name) {
  const std::lock_guard lock(control_);
  if (preset_ && !muted_ && name == audiogen_state_preset(state_.get())) return true;
  const bool has_latent = audiogen_state_n_latent(state_.get()) > 0;
  if (!open(name, false)) return false;
  if (has_latent) {  // it was of the former preset
    audiogen_state_set_latent(state_.get(), nullptr, 0);
    update_timbre();
  }
  return true;
}

// Opens a preset and plays it. One that cannot be opened is a failure, or with `keep_missing` the
// instance is silent and remembers it.
bool Instance::open(const std::string& name, bool keep_missing) {
  const auto found = std::ranges::find(names_, name);
  Preset preset;
  std::string message;
  if (found == names_.end()) {
    message = "preset '" + name + "' not found; put its folder into one of $AUDIOGEN_PRESETS or " +
              "~/.local/share/audiogen/presets";
  } else {
    preset.reset(audiogen_open(preset_folders_[found - names_.begin()].c_str()));
    if (!preset) message = audiogen_error();
  }
  if (preset && synth_ && audiogen_set_preset(synth_, preset.get()) != 0) {
    message = audiogen_error();
    preset.reset();
  }
  if (!preset) {
    if (keep_missing) {
      muted_ = true;
      post({0, AUDIOGEN_ALL_OFF, 0, 0, 0.0f, 1.0f, 0.0f});
    }
    set_status(message);
    return false;
  }
  const std::string known = audiogen_state_hash(state_.get());
  const std::string hash = audiogen_preset_hash(preset.get());
  const bool changed =
      name == audiogen_state_preset(state_.get()) && !known.empty() && hash != known;
  audiogen_state_set_preset(state_.get(), name.c_str(), hash.c_str());
  for (std::uint32_t i = 0; i < values_.size() && preset_; ++i) {
    const float value = audiogen_preset_initial(preset.get(), i);
    if (!is_set_[i] && value != audiogen_preset_initial(preset_.get(), i)) {
      post({0, AUDIOGEN_PARAMETER, i, 0, 0.0f, value, 0.0f});
    }
  }
  preset_ = std::move(preset);
  open_index_ = static_cast<int>(found - names_.begin());
  muted_ = false;
  if (sample_rate_ != 0 && !synth_) start_synth();
  if (synth_) latency_ = audiogen_latency(synth_);
  update_timbre();
  set_status(changed ? "preset '" + name + "' has changed since the project was saved" : "");
  return true;
}

void Instance::start_synth() {
  audiogen_destroy(synth_.exchange(nullptr));
  const audiogen_settings wanted = settings();
  audiogen_synth* synth = audiogen_create(preset_.get(), &wanted);
  if (!synth) return set_status(audiogen_error());
  for (std::uint32_t i = 0; i < values_.size(); ++i) {
    const audiogen_event event{0, AUDIOGEN_PARAMETER, i, 0, 0.0f, values_[i], 0.0f};
    if (is_set_[i]) audiogen_post(synth, &event);
  }
  synth_ = synth;
  latency_ = audiogen_latency(synth);
  update_timbre();
}

// After a state was read: all parameters, those that it does not set with the preset's values.
void Instance::post_parameters() {
  for (std::uint32_t i = 0; i < values_.size() && preset_; ++i) {
    const float value = is_set_[i] ? values_[i].load() : audiogen_preset_initial(preset_.get(), i);
    post({0, AUDIOGEN_PARAMETER, i, 0, 0.0f, value, 0.0f});
  }
}

void Instance::drop_replaced_latent() {
  if (latent_replaced_.exchange(false)) audiogen_state_set_latent(state_.get(), nullptr, 0);
}

// Finds the timbre and the latent of the state in the open preset.
void Instance::update_timbre() {
  drop_replaced_latent();
  int latent = -1;
  const std::size_t n = audiogen_state_n_latent(state_.get());
  if (synth_ && n > 0) latent = audiogen_add_timbre(synth_, audiogen_state_latent(state_.get()), n);
  latent_timbre_ = latent;
  if (preset_) {
    n_timbres_ = static_cast<std::uint32_t>(audiogen_preset_n_timbres(preset_.get()));
    default_timbre_ = static_cast<std::uint32_t>(audiogen_preset_default_timbre(preset_.get()));
  }
  timbre_change_.fetch_add(1, std::memory_order_release);
}

bool Instance::choose_timbre(const std::string& name) {
  const std::vector<std::string> names = timbres();
  const auto found = std::ranges::find(names, name);
  const std::lock_guard lock(control_);
  if (found == names.end() && !name.empty()) {
    std::string all;
    for (const std::string& one : names) all += (all.empty() ? "" : ", ") + one;
    set_status("timbre '" + name + "' not found in preset '" + audiogen_state_preset(state_.get()) +
               "'; it has: " + all);
    return false;
  }
  audiogen_state_set_latent(state_.get(), nullptr, 0);
  timbre_ = name.empty() ? kDefaultTimbre : static_cast<int>(found - names.begin());
  update_timbre();
  set_status("");
  return true;
}

bool Instance::set_latent(const float* z, std::size_t n) {
  const std::lock_guard lock(control_);
  if (synth_ && audiogen_add_timbre(synth_, z, n) < 0) {
    set_status(audiogen_error());
    return false;
  }
  latent_replaced_ = false;
  if (audiogen_state_set_latent(state_.get(), z, n) != 0) {
    set_status(audiogen_error());
    return false;
  }
  update_timbre();
  set_status("");
  return true;
}

void Instance::set_seed(std::uint64_t seed) {
  const std::lock_guard lock(control_);
  audiogen_state_set_seed(state_.get(), seed);
  if (synth_) audiogen_set_seed(synth_, seed);
}

bool Instance::write_state(audiogen_write write, void* context) {
  const std::vector<std::string> names = timbres();
  const std::lock_guard lock(control_);
  drop_replaced_latent();
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (is_set_[i]) {
      audiogen_state_set_parameter(state_.get(), audiogen_parameter_info(i)->name, values_[i]);
    }
  }
  if (!muted_) {  // the timbre of a missing preset stays that of the state
    const auto index = static_cast<std::size_t>(timbre_.load());
    const bool chosen = timbre_ >= 0 && index < names.size();
    audiogen_state_set_timbre(state_.get(), chosen ? names[index].c_str() : "");
  }
  return audiogen_state_write(state_.get(), write, context) == 0;
}

bool Instance::read_state(audiogen_read read, void* context) {
  State state(audiogen_state_read(read, context));
  const std::lock_guard lock(control_);
  if (!state) {
    set_status(audiogen_error());
    return false;
  }
  apply_state(std::move(state));
  return true;
}

void Instance::apply_state(State state) {
  state_ = std::move(state);
  latent_replaced_ = false;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const audiogen_parameter& row = *audiogen_parameter_info(i);
    float value = row.initial;
    is_set_[i] = audiogen_state_parameter(state_.get(), row.name, &value) != 0;
    values_[i] = std::clamp(value, row.lowest, row.highest);
  }
  timbre_ = kDefaultTimbre;
  const std::string name = audiogen_state_preset(state_.get());
  set_status("");
  bool is_open = muted_ ? false : preset_ != nullptr;
  if (!name.empty()) is_open = open(name, true);
  const std::string timbre = audiogen_state_timbre(state_.get());
  if (is_open && !timbre.empty()) {
    for (std::uint32_t i = 0; i < n_timbres_; ++i) {
      if (timbre == audiogen_preset_timbre(preset_.get(), i)) timbre_ = static_cast<int>(i);
    }
    if (timbre_ == kDefaultTimbre) {
      set_status("timbre '" + timbre + "' not found in preset '" + name +
                 "'; its default timbre plays");
    }
  }
  if (synth_) audiogen_set_seed(synth_, audiogen_state_seed(state_.get()));
  update_timbre();
  post_parameters();
}

// Loader.

void Instance::load_requested() {
  const int index = requested_.load(std::memory_order_acquire);
  if (index < 0) return;
  open_preset(names_[static_cast<std::size_t>(index)]);
  int done = index;  // unless another one has been requested since
  requested_.compare_exchange_strong(done, -1, std::memory_order_acq_rel);
}

// Audio thread.

void Instance::track_keys(const audiogen_event& event) noexcept {
  const auto flip = [&](std::uint8_t pitch, bool is_held) {
    std::atomic<std::uint64_t>& word = keys_[pitch / 64];
    const std::uint64_t bit = std::uint64_t{1} << (pitch % 64);
    const std::uint64_t before = word.load(std::memory_order_relaxed);
    word.store(is_held ? before | bit : before & ~bit, std::memory_order_relaxed);
  };
  if (event.kind == AUDIOGEN_ALL_OFF) return forget_keys();
  if (event.kind != AUDIOGEN_NOTE_ON && event.kind != AUDIOGEN_NOTE_OFF) return;
  const std::uint32_t wanted = event.kind == AUDIOGEN_NOTE_ON ? 0 : event.id;
  const auto found = std::ranges::find(sounding_, wanted, &decltype(sounding_)::value_type::first);
  if (found == sounding_.end()) return;
  if (event.kind == AUDIOGEN_NOTE_ON) {
    const float pitch = std::clamp(std::nearbyint(event.pitch), 0.0f, 127.0f);
    *found = {event.id, static_cast<std::uint8_t>(pitch)};
    return flip(found->second, true);
  }
  found->first = 0;
  const bool is_held = std::ranges::any_of(sounding_, [&](const auto& other) {
    return other.first != 0 && other.second == found->second;
  });
  flip(found->second, is_held);
}

void Instance::forget_keys() noexcept {
  sounding_.fill({});
  for (std::atomic<std::uint64_t>& word : keys_) word.store(0, std::memory_order_relaxed);
}

// Sorted by offset; expression of a note stands before its note-on of the same offset.
void Instance::add(audiogen_event event) noexcept {
  if (event.kind == AUDIOGEN_NOTE_ON && muted_.load(std::memory_order_relaxed)) return;
  if (n_events_ == kMostEvents) {
    events_lost_ = true;
    return;
  }
  track_keys(event);
  std::size_t at = n_events_++;
  for (; at > 0 && events_[at - 1].offset > event.offset; --at) events_[at] = events_[at - 1];
  events_[at] = event;
  if (event.kind < AUDIOGEN_NOTE_BEND) return;
  for (std::size_t on = at; on > 0 && events_[on - 1].offset == event.offset; --on) {
    if (events_[on - 1].kind != AUDIOGEN_NOTE_ON || events_[on - 1].id != event.id) continue;
    std::rotate(events_.begin() + static_cast<std::ptrdiff_t>(on - 1),
                events_.begin() + static_cast<std::ptrdiff_t>(at),
                events_.begin() + static_cast<std::ptrdiff_t>(at + 1));
    return;
  }
}

void Instance::midi(const std::uint8_t* bytes, std::size_t n, std::uint32_t offset) noexcept {
  audiogen_synth* synth = synth_.load(std::memory_order_acquire);
  if (!synth) return;
  apply_timbre(synth);
  std::array<audiogen_event, 16> events;
  while (n > 0) {
    std::size_t n_events = 0;
    const std::size_t n_read =
        audiogen_midi(synth, bytes, n, offset, events.data(), events.size(), &n_events);
    for (std::size_t i = 0; i < n_events; ++i) {
      if (events[i].kind == AUDIOGEN_PARAMETER) moved_by_midi_[events[i].id] = true;
      add(events[i]);
    }
    bytes += n_read;
    n -= n_read;
  }
  playing_timbre_.store(static_cast<int>(audiogen_midi_timbre(synth)), std::memory_order_relaxed);
}

void Instance::note_on(std::int32_t key, float pitch, float velocity,
                       std::uint32_t offset) noexcept {
  note_off(key, offset);  // in case the key is still held
  audiogen_synth* synth = synth_.load(std::memory_order_acquire);
  if (!synth) return;
  n_notes_ = (n_notes_ + 1) & 0x7FFFFFFFu;
  const auto free = std::ranges::find(held_, 0u, &Held::id);
  Held& held = free != held_.end() ? *free : held_[next_held_++ % kMostHeld];
  if (held.id != 0) add({offset, AUDIOGEN_NOTE_OFF, held.id, 0, 0.0f, 0.0f, 0.0f});
  held = {key, std::max(1u, n_notes_)};
  const int latent = latent_timbre_.load(std::memory_order_relaxed);
  const int chosen = timbre_.load(std::memory_order_relaxed);
  const bool valid = chosen >= 0 && static_cast<std::uint32_t>(chosen) < n_timbres_.load();
  const auto timbre = latent >= 0 ? static_cast<std::uint32_t>(latent)
                      : valid     ? static_cast<std::uint32_t>(chosen)
                                  : default_timbre_.load();
  add({offset, AUDIOGEN_NOTE_ON, held.id, timbre, pitch, velocity, 0.0f});
}

void Instance::note_off(std::int32_t key, std::uint32_t offset) noexcept {
  for (Held& held : held_) {
    if (held.id == 0 || held.key != key) continue;
    add({offset, AUDIOGEN_NOTE_OFF, held.id, 0, 0.0f, 0.0f, 0.0f});
    held.id = 0;
  }
}

void Instance::express(std::int32_t key, audiogen_event_kind kind, float value,
                       std::uint32_t offset) noexcept {
  for (const Held& held : held_) {
    if (held.id != 0 && held.key == key) add({offset, kind, held.id, 0, 0.0f, value, 0.0f});
  }
}

// A value that the user has not moved away from the initial one leaves a preset its own: hosts send
// initial values, too, which they may have rounded. MIDI moves the engine's parameter and not the
// value, so that the same value again moves it back.
void Instance::set_parameter(std::size_t index, float value, std::uint32_t offset) noexcept {
  if (index >= values_.size() || !std::isfinite(value)) return;
  const audiogen_parameter& row = *audiogen_parameter_info(index);
  value = std::clamp(value, row.lowest, row.highest);
  const float before = values_[index].load(std::memory_order_relaxed);
  const float rounding = is_set_[index] ? 0.0f : kRounding * (row.highest - row.lowest);
  if (std::abs(value - before) <= rounding && !moved_by_midi_[index]) return;
  moved_by_midi_[index] = false;
  values_[index].store(value, std::memory_order_relaxed);
  is_set_[index].store(true, std::memory_order_relaxed);
  const int timbre = timbre_.load(std::memory_order_relaxed);
  add({offset, AUDIOGEN_PARAMETER, static_cast<std::uint32_t>(index),
       timbre < 0 ? default_timbre_.load() : static_cast<std::uint32_t>(timbre), 0.0f, value,
       0.0f});
}

void Instance::choose_timbre(int index, bool anew) noexcept {
  if (timbre_.exchange(std::max(index, kDefaultTimbre)) == index && !anew) return;
  if (latent_timbre_.exchange(-1) >= 0) latent_replaced_ = true;
  timbre_change_.fetch_add(1, std::memory_order_release);
  revision_.fetch_add(1, std::memory_order_release);
}

void Instance::request_preset(int index) noexcept {
  if (index < 0 || static_cast<std::size_t>(index) >= names_.size()) return;
  requested_.store(index, std::memory_order_release);
}

int Instance::wanted_preset() const noexcept {
  const int requested = requested_.load(std::memory_order_acquire);
  return requested >= 0 ? requested : missing() ? -1 : preset_index();
}

void Instance::apply_timbre(audiogen_synth* synth) noexcept {
  const std::uint32_t change = timbre_change_.load(std::memory_order_acquire);
  if (change == applied_timbre_change_ && synth == applied_synth_) return;
  applied_timbre_change_ = change;
  applied_synth_ = synth;
  const int latent = latent_timbre_.load(std::memory_order_relaxed);
  const int chosen = timbre_.load(std::memory_order_relaxed);
  if (latent >= 0) {
    audiogen_choose_timbre(synth, static_cast<std::uint32_t>(latent));
  } else if (chosen >= 0 && static_cast<std::uint32_t>(chosen) < n_timbres_.load()) {
    audiogen_choose_timbre(synth, static_cast<std::uint32_t>(chosen));
  } else {
    audiogen_choose_timbre(synth, default_timbre_.load());
  }
  playing_timbre_.store(static_cast<int>(audiogen_midi_timbre(synth)), std::memory_order_relaxed);
}

bool Instance::ahead_of_time(std::size_t n) noexcept {
  const Clock::time_point now = Clock::now();
  const double passed_s = std::chrono::duration<double>(now - last_call_).count();
  ahead_s_ = std::clamp(ahead_s_ + kClockShare * last_block_s_ - passed_s, 0.0, kMostAhead);
  const bool ahead = ahead_s_ > 0.5 * last_block_s_;
  last_call_ = now;
  last_block_s_ = sample_rate_ > 0 ? static_cast<double>(n) / sample_rate_ : 0.0;
  return ahead && last_block_s_ > 0.0;
}

// Hosts may give the same memory for both.
static bool shares_memory(float* const* outputs, const float* const* inputs) noexcept {
  for (std::size_t c = 0; c < Instance::kChannels; ++c) {
    for (std::size_t i = 0; i < Instance::kInputs; ++i) {
      if (outputs[c] == inputs[i]) return true;
    }
  }
  return false;
}

static float peak_of(const float* samples, std::size_t n) noexcept {
  float peak = 0.0f;
  for (std::size_t i = 0; i < n; ++i) peak = std::max(peak, std::abs(samples[i]));
  return peak;
}

void Instance::process(float* const* outputs, std::size_t n, const float* const* inputs,
                       bool offline) noexcept {
  while (offline && requested_.load(std::memory_order_acquire) >= 0) {
    std::this_thread::sleep_for(kOfflineNap);
  }
  audiogen_synth* synth = synth_.load(std::memory_order_acquire);
  const bool ahead = ahead_of_time(n);
  if (!synth) {
    for (std::size_t c = 0; c < kChannels; ++c) {
      std::fill_n(outputs[c], n, 0.0f);
      levels_[c].store(0.0f, std::memory_order_relaxed);
    }
    n_events_ = 0;
    return;
  }
  if (realtime_ && !offline && ahead) {
    audiogen_hurry(synth, n, std::max(kShortestWait, 0.5 * ahead_s_));
  } else if (realtime_) {
    audiogen_set_offline(synth, offline);
  }
  apply_timbre(synth);
  if (std::exchange(events_lost_, false)) {
    events_[kMostEvents - 1] = {
        static_cast<std::uint32_t>(n), AUDIOGEN_ALL_OFF, 0, 0, 0.0f, 0.0f, 0.0f};
    held_.fill({});
    forget_keys();
  }
  const std::array<const float*, kInputs> copies = {input_[0].data(), input_[1].data()};
  if (inputs && shares_memory(outputs, inputs)) {
    if (n > input_[0].size()) {
      inputs = nullptr;
    } else {
      for (std::size_t c = 0; c < kInputs; ++c) std::copy_n(inputs[c], n, input_[c].begin());
      inputs = copies.data();
    }
  }
  audiogen_process(synth, outputs, n, events_.data(), n_events_, inputs);
  n_events_ = 0;
  for (std::size_t c = 0; c < kChannels; ++c) {
    levels_[c].store(peak_of(outputs[c], n), std::memory_order_relaxed);
  }
}

bool Instance::sounding() const noexcept {
  const audiogen_synth* synth = synth_.load(std::memory_order_acquire);
  return synth && audiogen_n_sounding(synth) > 0;
}

}  // namespace audiogen::plugin

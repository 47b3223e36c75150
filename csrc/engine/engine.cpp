// The streaming engine: voice allocation, parameters and mixing.
#include "engine/engine.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

namespace audiogen::engine {

// A stolen note fades out in 1 / 200 s, 5 ms.
static constexpr std::uint32_t kFadesPerSecond = 200;

// Largest number of input samples that are resampled at once.
static constexpr std::size_t kInputPiece = 1024;

// Largest number of samples that voices render at once on several threads: some frames of each.
static constexpr std::size_t kShared = 1024;
static constexpr std::size_t kMostThreads = 64;

static constexpr double kVibratoHz = 5.5;
static constexpr float kFurthestBend = 12.0f;  // semitones beyond the trained pitches
// Fade-in at the end of the range of `attack`. Below, it is shorter by the square, so that half the
// range is for fade-ins of up to a second.
static constexpr float kLongestRise = 4.0f;  // s
static constexpr std::size_t kNoTimbre = ~std::size_t{0};
// The golden ratio: it keeps the positions of successive notes far apart.
static constexpr double kSpreadStep = 0.6180339887498949;

// Bend in semitones, level as a gain, slide as an amount of the first macro. They are smoothed as
// the parameters that they join.
static constexpr struct {
  float lowest, highest, initial;
  Parameter like;
} kExpressionTable[] = {{-48.0f, 48.0f, 0.0f, Parameter::kBend},
                        {0.0f, 4.0f, 1.0f, Parameter::kExpression},
                        {-1.0f, 1.0f, 0.0f, Parameter::kMacro1}};

static const Instrument& checked(const std::shared_ptr<const Instrument>& instrument) {
  if (!instrument) throw std::invalid_argument("engine has no instrument");
  return *instrument;
}

static std::uint32_t model_rate(const Instrument& instrument) {
  return static_cast<std::uint32_t>(std::lround(instrument.sample_rate()));
}

Engine::Engine(std::shared_ptr<const Instrument> instrument, std::uint32_t sample_rate,
               std::size_t max_block, std::size_t max_voices, std::uint64_t seed,
               std::size_t n_channels, std::size_t n_inputs, std::size_t n_threads)
    : instrument_(std::move(instrument)),
      max_block_(max_block),
      reverb_(checked(instrument_).sample_rate(), std::min(n_channels, kMostChannels)) {
  const std::uint32_t rate = model_rate(checked(instrument_));
  if (max_block < 1 || max_block > 65536) {
    throw std::invalid_argument("max_block=" + std::to_string(max_block) + " must be 1 to 65536");
  }
  if (max_voices < 1 || max_voices > 4096) {
    throw std::invalid_argument("max_voices=" + std::to_string(max_voices) + " must be 1 to 4096");
  }
  if (n_channels < 1 || n_channels > kMostChannels) {
    throw std::invalid_argument("n_channels=" + std::to_string(n_channels) + " must be 1 or 2");
  }
  if (n_inputs > kMostInputs) {
    throw std::invalid_argument("n_inputs=" + std::to_string(n_inputs) + " must be 0 to 2");
  }
  if (n_threads < 1 || n_threads > kMostThreads) {
    throw std::invalid_argument("n_threads=" + std::to_string(n_threads) + " must be 1 to " +
                                std::to_string(kMostThreads));
  }
  resamplers_.assign(n_channels, Resampler(rate, sample_rate));
  inputs_.assign(n_inputs, Resampler(sample_rate, rate));
  const std::uint32_t common = std::gcd(rate, sample_rate);
  up_ = sample_rate / common;
  down_ = rate / common;
  if (n_inputs > 0) {  // rounded up to whole host samples
    input_latency_ = static_cast<std::size_t>((inputs_[0].latency() * up_ + down_ - 1) / down_);
    silence_.resize(kInputPiece);
  }
  for (const ParameterInfo& info : kParameters) {
    const double ticks = info.smoothing_s * rate / static_cast<double>(kTick);
    parameters_.emplace_back(info.initial, static_cast<std::size_t>(std::lround(ticks)));
  }
  slots_.resize(max_voices);
  voice_.resize(Resampler::kLargestPush);
  voices_ = instrument_->make_voices(max_voices, voice_.size(), n_inputs);
  for (std::size_t i = 0; i < max_voices; ++i) {
    Slot& slot = slots_[i];
    slot.voice = &(*voices_)[i];
    slot.voice_index = i;
    // As smooth as the parameters that they add to.
    for (std::size_t e = 0; e < kExpressions; ++e) {
      slot.expression[e] = parameters_[static_cast<std::size_t>(kExpressionTable[e].like)];
    }
  }
  begun_.resize(max_voices);
  prepared_notes_.resize(max_voices);
  computed_.resize(max_voices);
  ahead_slots_.resize(max_voices);
  if (n_threads > 1 && max_voices > 1 && voices_->are_separate()) {
    pool_ = std::make_unique<Pool>(std::min(n_threads, max_voices));
    ahead_.resize(max_voices * kShared);
  }
  for (std::size_t c = 0; c < n_channels; ++c) {
    mix_[c].resize(voice_.size());
    fading_[c].resize(rate / kFadesPerSecond);
  }
  for (std::size_t c = 0; c < n_inputs; ++c) input_[c].resize(voice_.size());
  reset(seed);
}

void Engine::reset(std::uint64_t seed) noexcept AUDIOGEN_REALTIME {
  for (Slot& slot : slots_) {
    slot.voice->reset();
    slot.pedalled = slot.is_prepared = false;
  }
  n_begun_ = n_prepared_ = 0;
  for (std::vector<float>& ring : fading_) std::fill(ring.begin(), ring.end(), 0.0f);
  reverb_.reset();
  send_ = next_send_ = 0.0f;
  for (Resampler& resampler : resamplers_) resampler.reset();
  for (Resampler& input : inputs_) input.reset();
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].set(instrument_->initial(static_cast<Parameter>(i)));
  }
  seed_ = seed;
  host_time_ = model_time_ = fading_end_ = n_notes_ = n_transposed_ = n_stolen_ = 0;
  vibrato_lead_ = 0.0;
  last_slot_ = 0;
  early_.is_set = false;
  tick_needed_ = false;
}

std::size_t Engine::n_sounding() const noexcept AUDIOGEN_REALTIME {
  std::size_t n = 0;
  for (const Slot& slot : slots_) n += slot.voice->active() ? 1 : 0;
  return n;
}

void Engine::process(std::span<float* const> out, std::size_t n, std::span<const Event> events,
                     std::span<const float* const> in) noexcept AUDIOGEN_REALTIME {
  const core::DenormalGuard guard;
  std::size_t next = 0;
  // Pieces are short enough for the resampler's ring.
  std::size_t largest =
      std::max<std::size_t>(1, static_cast<std::size_t>(Resampler::kLargestPush * up_ / down_ / 2));
  if (!inputs_.empty()) largest = std::min(largest, kInputPiece);
  for (std::size_t done = 0; done < n;) {
    const std::size_t piece = std::min(largest, n - done);
    const std::uint64_t end = host_time_ + piece;
    push_input(in, done, piece);
    for (; next < events.size(); ++next) {
      const std::size_t offset = std::min<std::size_t>(events[next].offset, n - 1);
      if (offset >= done + piece) break;
      // The first model sample at or after the event.
      const std::uint64_t at = host_time_ + (offset < done ? 0 : offset - done);
      advance((at * down_ + up_ - 1) / up_);
      handle(events[next]);
    }
    advance(resamplers_.front().needed(end - 1));
    for (std::size_t c = 0; c < resamplers_.size(); ++c) {
      resamplers_[c].pull(out[c] + done, piece);
    }
    host_time_ = end;
    done += piece;
  }
  for (; next < events.size(); ++next) {  // events of an empty block
    advance((host_time_ * down_ + up_ - 1) / up_);
    handle(events[next]);
  }
}

bool Engine::work_ahead() noexcept AUDIOGEN_REALTIME {
  const core::DenormalGuard guard;
  const std::size_t most = pool_ ? pool_->n_threads() : 1;
  std::size_t n = 0;
  for (const Ahead wanted : {Ahead::kFrame, Ahead::kRelease}) {
    for (std::size_t i = 1; n < most && i <= slots_.size(); ++i) {
      const std::size_t slot = (ahead_slot_ + i) % slots_.size();
      if (slots_[slot].voice->ahead() == wanted) ahead_slots_[n++] = slot;
    }
    if (n > 0) break;
  }
  if (n == 0) return false;
  ahead_slot_ = ahead_slots_[n - 1];
  on_threads(n, [this](std::size_t i) noexcept AUDIOGEN_REALTIME {
    slots_[ahead_slots_[i]].voice->work_ahead();
  });
  return true;
}

void Engine::advance(std::uint64_t until) noexcept AUDIOGEN_REALTIME {
  while (model_time_ < until) {
    begin_notes();
    if (model_time_ % kTick == 0 && moving()) tick();
    std::uint64_t n = std::min<std::uint64_t>(until - model_time_, voice_.size());
    if (moving()) n = std::min(n, kTick - model_time_ % kTick);
    if (pool_) n = std::min<std::uint64_t>(n, kShared);
    pull_input(static_cast<std::size_t>(n));
    mix(static_cast<std::size_t>(n));
    feed_input(static_cast<std::size_t>(n));
    for (std::size_t c = 0; c < resamplers_.size(); ++c) {
      resamplers_[c].push(mix_[c].data(), static_cast<std::size_t>(n));
    }
    model_time_ += n;
  }
}

void Engine::push_input(std::span<const float* const> in, std::size_t from,
                        std::size_t n) noexcept AUDIOGEN_REALTIME {
  for (std::size_t c = 0; c < inputs_.size(); ++c) {
    inputs_[c].push(in.empty() ? silence_.data() : in[std::min(c, in.size() - 1)] + from, n);
  }
}

void Engine::pull_input(std::size_t n) noexcept AUDIOGEN_REALTIME {
  for (std::size_t c = 0; c < inputs_.size(); ++c) inputs_[c].pull(input_[c].data(), n);
}

void Engine::feed_input(std::size_t n) noexcept AUDIOGEN_REALTIME {
  if (inputs_.empty() || !listens()) return;
  std::array<const float*, kMostInputs> channels{};
  for (std::size_t c = 0; c < inputs_.size(); ++c) channels[c] = input_[c].data();
  voices_->feed_input({channels.data(), inputs_.size()}, n);
}

void Engine::mix(std::size_t n) noexcept AUDIOGEN_REALTIME {
  const std::size_t n_channels = resamplers_.size();
  for (std::size_t c = 0; c < n_channels; ++c) std::fill_n(mix_[c].begin(), n, 0.0f);
  if (const float level = value(Parameter::kMonitor); level > 0.0f && !inputs_.empty()) {
    for (std::size_t c = 0; c < n_channels; ++c) {
      const float* in = input_[std::min(c, inputs_.size() - 1)].data();
      for (std::size_t i = 0; i < n; ++i) mix_[c][i] = level * in[i];
    }
  }
  voices_->set_sampling(value(Parameter::kTemperature), value(Parameter::kTopP));
  voices_->prepare(n);
  render_voices(n);
  std::size_t next = 0;  // of computed_
  for (std::size_t s = 0; s < slots_.size(); ++s) {
    if (next < n_computed_ && computed_[next] == s) {
      mix_voice(slots_[s], &ahead_[s * kShared], n);
      ++next;
    } else if (slots_[s].voice->active()) {
      std::fill_n(voice_.begin(), n, 0.0f);
      slots_[s].voice->add(voice_.data(), n);
      mix_voice(slots_[s], voice_.data(), n);
    }
  }
  const std::uint64_t faded = std::min(fading_end_, model_time_ + n);
  for (std::size_t c = 0; c < n_channels; ++c) {
    for (std::uint64_t at = model_time_; at < faded; ++at) {
      mix_[c][at - model_time_] += std::exchange(fading_[c][at % fading_[c].size()], 0.0f);
    }
  }
  if (send_ > 0.0f || next_send_ > 0.0f || reverb_.sounding()) add_reverb(n);
}

// Parameters and all-off act on every note, other events on the notes of their id.
bool Engine::changes_begun(const Event& event) const noexcept AUDIOGEN_REALTIME {
  if (event.kind == EventKind::kNoteOn) return false;
  if (event.kind == EventKind::kParameter || event.kind == EventKind::kAllOff) return true;
  for (std::size_t i = 0; i < n_begun_; ++i) {
    if (slots_[begun_[i]].id == event.id) return true;
  }
  return false;
}

void Engine::begin_notes() noexcept AUDIOGEN_REALTIME {
  on_threads(n_begun_, [this](std::size_t i) noexcept AUDIOGEN_REALTIME {
    slots_[begun_[i]].voice->begin();
  });
  n_begun_ = 0;
}

void Engine::render_voices(std::size_t n) noexcept AUDIOGEN_REALTIME {
  n_computed_ = 0;
  if (!pool_) return;
  for (std::size_t s = 0; s < slots_.size(); ++s) {
    const Voice& voice = *slots_[s].voice;
    if (voice.active() && voice.computes(n)) computed_[n_computed_++] = s;
  }
  if (n_computed_ < 2) {
    n_computed_ = 0;
    return;
  }
  pool_->run(n_computed_, [this, n](std::size_t i) noexcept AUDIOGEN_REALTIME {
    float* samples = &ahead_[computed_[i] * kShared];
    std::fill_n(samples, n, 0.0f);
    slots_[computed_[i]].voice->add(samples, n);
  });
}

void Engine::mix_voice(const Slot& slot, const float* samples,
                       std::size_t n) noexcept AUDIOGEN_REALTIME {
  for (std::size_t c = 0; c < resamplers_.size(); ++c) {
    float* out = mix_[c].data();
    const float gain = slot.gain[c];
    if (slot.next_gain[c] == gain) {
      for (std::size_t i = 0; i < n; ++i) out[i] += gain * samples[i];
      continue;
    }
    const float slope = (slot.next_gain[c] - gain) / static_cast<float>(kTick);
    const std::size_t first = static_cast<std::size_t>(model_time_ % kTick) + 1;
    for (std::size_t i = 0; i < n; ++i) {
      out[i] += (gain + slope * static_cast<float>(first + i)) * samples[i];
    }
  }
}

void Engine::add_reverb(std::size_t n) noexcept AUDIOGEN_REALTIME {
  std::array<float*, kMostChannels> channels{};
  for (std::size_t c = 0; c < resamplers_.size(); ++c) channels[c] = mix_[c].data();
  const float slope = (next_send_ - send_) / static_cast<float>(kTick);
  reverb_.add(channels.data(), n, send_, slope, static_cast<std::size_t>(model_time_ % kTick));
}

bool Engine::moving() const noexcept AUDIOGEN_REALTIME {
  if (tick_needed_ || value(Parameter::kVibrato) > 0.0f) return true;
  for (const core::Smoother& parameter : parameters_) {
    if (parameter.moving()) return true;
  }
  for (const Slot& slot : slots_) {
    if (!slot.voice->active()) continue;
    if (slot.glide != 0.0f || slot.rise < 1.0f) return true;
    if (instrument_->vibrato(slot.timbre) != nullptr) return true;
    for (const core::Smoother& expression : slot.expression) {
      if (expression.moving()) return true;
    }
  }
  return false;
}

void Engine::tick() noexcept AUDIOGEN_REALTIME {
  for (core::Smoother& parameter : parameters_) parameter.tick();
  vibrato_lead_ +=
      (vibrato_speed() - 1.0) * static_cast<double>(kTick) / instrument_->sample_rate();
  send_ = next_send_;
  next_send_ = value(Parameter::kReverb);
  tick_needed_ = send_ != next_send_;
  const Shaping shape = shaping();
  for (Slot& slot : slots_) {
    if (!slot.voice->active()) continue;
    slot.rise = std::min(1.0f, slot.rise + slot.rise_step);
    for (core::Smoother& expression : slot.expression) expression.tick();
    slot.gain = slot.next_gain;
    slot.next_gain = gains_of(slot);
    tick_needed_ = tick_needed_ || slot.gain != slot.next_gain;  // until the gains have arrived
    slot.glide = slot.glide > 0.0f ? std::max(0.0f, slot.glide - slot.glide_step)
                                   : std::min(0.0f, slot.glide + slot.glide_step);
    const float pitch = pitch_of(slot);
    if (pitch != slot.sounding_pitch) slot.voice->set_pitch(slot.sounding_pitch = pitch);
    set_morph(slot);
    slot.voice->set_shaping(shaping_of(slot, shape));
  }
}

// Of each channel. Balance law: a centred note has the full level in both.
Engine::Gains Engine::gains_of(const Slot& slot) const noexcept AUDIOGEN_REALTIME {
  const float volume = value(Parameter::kVolume) * value(Parameter::kExpression);
  const float level = volume * volume * slot.rise * slot.expression[kLevel].value() *
                      tremolo_of(slot) * instrument_->gain(slot.timbre);
  if (resamplers_.size() == 1) return {level, level};
  const float position = std::clamp(
      value(Parameter::kPan) + slot.pan + value(Parameter::kSpread) * slot.spread, -1.0f, 1.0f);
  return {level * std::min(1.0f, 1.0f - position), level * std::min(1.0f, 1.0f + position)};
}

float Engine::pitch_of(const Slot& slot) const noexcept AUDIOGEN_REALTIME {
  const float bend =
      value(Parameter::kBend) + value(Parameter::kPitchWheel) * value(Parameter::kBendRange);
  float pitch = slot.pitch + slot.glide + bend + slot.expression[kBend].value();
  pitch += vibrato_of(slot);
  if (instrument_->kit() != nullptr) {
    return std::clamp(pitch, slot.pitch - kFurthestBend, slot.pitch + kFurthestBend);
  }
  const auto [lowest, highest] = instrument_->pitch_range();
  return std::clamp(pitch, std::min(lowest - kFurthestBend, slot.pitch),
                    std::max(highest + kFurthestBend, slot.pitch));
}

// Semitones. The wheel adds to the depth of a timbre that has a vibrato.
float Engine::vibrato_of(const Slot& slot) const noexcept AUDIOGEN_REALTIME {
  float depth = value(Parameter::kVibrato);
  double cycles = 0.0;
  if (const presets::Vibrato* const own = instrument_->vibrato(slot.timbre)) {
    float share = 0.0f;
    std::tie(cycles, share) = progress_of(slot, *own);
    depth += share * own->depth_cents / 100.0f;
  } else {
    cycles = kVibratoHz * static_cast<double>(model_time_) / instrument_->sample_rate();
    cycles += kVibratoHz * vibrato_lead_;
  }
  if (depth <= 0.0f) return 0.0f;
  return depth * static_cast<float>(std::sin(2.0 * std::numbers::pi * cycles));
}

// Rate of vibratos relative to their own.
double Engine::vibrato_speed() const noexcept AUDIOGEN_REALTIME {
  return std::exp2(static_cast<double>(value(Parameter::kVibratoRate)));
}

// Gain. The wheel doesn't change it.
float Engine::tremolo_of(const Slot& slot) const noexcept AUDIOGEN_REALTIME {
  const presets::Vibrato* const own = instrument_->vibrato(slot.timbre);
  if (own == nullptr || own->tremolo_db == 0.0f) return 1.0f;
  const auto [cycles, share] = progress_of(slot, *own);
  const double rate_hz = static_cast<double>(own->rate_hz) * (vibrato_speed() - 1.0);
  const double lead = static_cast<double>(own->tremolo_phase) / 360.0;
  const double sine =
      std::sin(2.0 * std::numbers::pi * (cycles + lead - rate_hz * instrument_->pitch_delay_s()));
  return std::pow(10.0f, share * own->tremolo_db * static_cast<float>(sine) / 20.0f);
}

std::pair<double, float> Engine::progress_of(
    const Slot& slot, const presets::Vibrato& own) const noexcept AUDIOGEN_REALTIME {
  const auto seconds = static_cast<double>(model_time_ - slot.start);
  const float since = static_cast<float>(seconds / instrument_->sample_rate());
  const double phase =
      kSpreadStep * (static_cast<double>(slot.number) + static_cast<double>(slot.pitch));
  const double rate_hz = static_cast<double>(own.rate_hz);
  const double turned = rate_hz * seconds / instrument_->sample_rate() +
                        rate_hz * (vibrato_lead_ - slot.vibrato_lead);
  return {phase + turned, since < own.rise_s ? since / own.rise_s : 1.0f};
}

Shaping Engine::shaping() const noexcept AUDIOGEN_REALTIME {
  Shaping shape;
  shape.attack = value(Parameter::kAttack);
  shape.release = value(Parameter::kRelease);
  shape.tilt = value(Parameter::kTilt);
  shape.noise = value(Parameter::kNoise);
  const auto first = static_cast<std::size_t>(Parameter::kMacro1);
  for (std::size_t i = 0; i < kMacroCount; ++i) shape.macros[i] = parameters_[first + i].value();
  return shape;
}

// Adds the slide of the slot's note to the first macro.
Shaping Engine::shaping_of(const Slot& slot, Shaping shape) noexcept AUDIOGEN_REALTIME {
  shape.macros[0] = std::clamp(shape.macros[0] + slot.expression[kSlide].value(), -1.0f, 1.0f);
  return shape;
}

// On the map a note morphs from its own timbre to the nearest other one, in proportion to the
// distances. Next notes have the nearest timbre (see `note_on`).
void Engine::set_morph(const Slot& slot) noexcept AUDIOGEN_REALTIME {
  if (maps() && slot.timbre < instrument_->places().size()) {
    const std::size_t other = nearest_timbre(slot.timbre);
    const float from = map_distance(slot.timbre), to = map_distance(other);
    const bool is_there = other == slot.timbre || from == 0.0f;
    return slot.voice->set_morph(other, is_there ? 0.0f : from / (from + to));
  }
  const float index = std::nearbyint(value(Parameter::kMorphTimbre));
  slot.voice->set_morph(std::min(static_cast<std::size_t>(index), instrument_->n_timbres() - 1),
                        value(Parameter::kMorph));
}

float Engine::map_distance(std::size_t timbre) const noexcept AUDIOGEN_REALTIME {
  const Place place = instrument_->places()[timbre];
  const float x = place.x - value(Parameter::kTimbreX), y = place.y - value(Parameter::kTimbreY);
  return std::sqrt(x * x + y * y);
}

std::size_t Engine::nearest_timbre(std::size_t except) const noexcept AUDIOGEN_REALTIME {
  std::size_t nearest = except;
  for (std::size_t i = 0; i < instrument_->places().size(); ++i) {
    if (i == except) continue;
    if (nearest == except || map_distance(i) < map_distance(nearest)) nearest = i;
  }
  return nearest;
}

void Engine::handle(const Event& event) noexcept AUDIOGEN_REALTIME {
  if (changes_begun(event)) begin_notes();
  switch (event.kind) {
    case EventKind::kNoteOff:
      if (early_.id == event.id) early_.is_set = false;
      for (Slot& slot : slots_) {
        if (slot.id == event.id && slot.voice->active()) note_off(slot);
      }
      break;
    case EventKind::kNoteOn:
      note_on(event);
      break;
    case EventKind::kParameter:
      set(event);
      break;
    case EventKind::kAllOff:
      early_.is_set = false;
      if (event.value > 0.0f) voices_->prepare(fading_[0].size());
      for (Slot& slot : slots_) {
        if (!slot.voice->active()) continue;
        if (event.value > 0.0f) {
          fade_out(slot);
        } else {
          slot.voice->note_off();
        }
      }
      break;
    case EventKind::kNoteBend:
    case EventKind::kNoteLevel:
    case EventKind::kNoteSlide:
      express(event);
      break;
  }
}

std::optional<Engine::Sound> Engine::sound_of(const Event& event) const noexcept AUDIOGEN_REALTIME {
  if (!std::isfinite(event.pitch) || !std::isfinite(event.value)) return std::nullopt;
  Sound sound;
  sound.pitch = std::clamp(event.pitch, -128.0f, 256.0f);
  sound.timbre = event.timbre < instrument_->n_timbres() ? event.timbre : 0;
  sound.pan = std::isfinite(event.pan) ? event.pan : 0.0f;
  if (const Kit* const kit = instrument_->kit(); kit != nullptr) {
    const auto key = static_cast<std::size_t>(std::clamp(std::round(sound.pitch), 0.0f, 127.0f));
    if (sound.timbre < kit->n_timbres) sound.timbre = kit->timbres[key];
    if (sound.timbre == Kit::kSilent) return std::nullopt;
    const Drum& drum = kit->drums[key];
    sound.pitch = drum.pitch;
    sound.pan += drum.pan;
    sound.group = drum.group;
    return sound;
  }
  const auto [lowest, highest] = instrument_->pitch_range();
  sound.is_transposed = sound.pitch < lowest || sound.pitch > highest;
  while (sound.pitch > highest) sound.pitch -= 12.0f;
  while (sound.pitch < lowest) sound.pitch += 12.0f;
  sound.pitch = std::min(sound.pitch, highest);  // for a range of less than an octave
  return sound;
}

void Engine::note_on(const Event& event) noexcept AUDIOGEN_REALTIME {
  const std::optional<Sound> sound = sound_of(event);
  if (!sound) return;
  if (sound->is_transposed) ++n_transposed_;
  end_group(sound->group);
  Slot& slot = free_slot();
  const Note note = set_up(slot, event, *sound, n_notes_);
  if (early_.is_set && early_.id == event.id) early_.is_set = false;
  const auto index = static_cast<std::size_t>(&slot - slots_.data());
  last_slot_ = index;
  ++n_notes_;
  n_prepared_ -= std::min<std::uint64_t>(n_prepared_, 1);
  voices_->note_on(slot.voice_index, note);
  const auto end = begun_.begin() + static_cast<std::ptrdiff_t>(n_begun_);
  if (std::find(begun_.begin(), end, index) == end) begun_[n_begun_++] = index;
}

Note Engine::set_up(Slot& slot, const Event& event, const Sound& sound,
                    std::uint64_t number) noexcept AUDIOGEN_REALTIME {
  const bool is_drum = instrument_->kit() != nullptr;
  const float from = slots_[last_slot_].pitch + slots_[last_slot_].glide;
  slot.id = event.id;
  slot.number = number;
  slot.start = model_time_;
  slot.vibrato_lead = vibrato_lead_;
  slot.timbre = sound.timbre;
  if (!is_drum && maps()) slot.timbre = nearest_timbre(kNoTimbre);
  slot.is_prepared = slot.pedalled = false;
  slot.pitch = sound.pitch;
  slot.pan = std::clamp(sound.pan, -1.0f, 1.0f);
  slot.group = sound.group;
  slot.glide = slot.glide_step = 0.0f;
  const double ticks = static_cast<double>(value(Parameter::kGlide)) * instrument_->sample_rate() /
                       static_cast<double>(kTick);
  if (!is_drum && ticks >= 1.0 && number > 0) {
    slot.glide = from - sound.pitch;
    slot.glide_step = std::abs(slot.glide) / static_cast<float>(ticks);
  }
  const double turns = 0.5 + kSpreadStep * static_cast<double>(number);
  slot.spread = static_cast<float>(2.0 * (turns - std::floor(turns)) - 1.0);
  const float attack = std::max(0.0f, value(Parameter::kAttack));
  const double rise_ticks = static_cast<double>(kLongestRise * attack * attack) *
                            instrument_->sample_rate() / static_cast<double>(kTick);
  slot.rise = rise_ticks > 1.0 ? 0.0f : 1.0f;
  slot.rise_step = rise_ticks > 1.0 ? static_cast<float>(1.0 / rise_ticks) : 0.0f;
  const bool is_early = early_.is_set && early_.id == event.id;
  for (std::size_t e = 0; e < kExpressions; ++e) {
    slot.expression[e].set(is_early ? early_.values[e] : kExpressionTable[e].initial);
  }
  slot.gain = slot.next_gain = gains_of(slot);
  slot.sounding_pitch = pitch_of(slot);

  Note note;
  note.timbre = slot.timbre;
  note.pitch = slot.sounding_pitch;
  note.key_pitch = slot.pitch;
  note.velocity = std::clamp(event.value, 0.0f, 1.0f);
  // A note's random numbers depend on the seed and the number of earlier notes only.
  const auto added = static_cast<std::uint64_t>(std::nearbyint(value(Parameter::kVariation)));
  note.seed = seed_ + added + 0x9E3779B97F4A7C15u * number;
  note.continues = listens();
  note.input = slot.pan > 0.0f ? 1 : 0;
  set_morph(slot);
  slot.voice->set_shaping(shaping_of(slot, shaping()));
  return note;
}

std::size_t Engine::prepare(std::span<const Event> events) noexcept AUDIOGEN_REALTIME {
  const core::DenormalGuard guard;
  const auto moves = [](const core::Smoother& parameter) noexcept AUDIOGEN_REALTIME {
    return parameter.moving();
  };
  const bool is_settled = value(Parameter::kVibrato) == 0.0f && value(Parameter::kGlide) == 0.0f &&
                          std::none_of(parameters_.begin(), parameters_.end(), moves);
  if (!voices_->are_separate() || !is_settled) return 0;
  begin_notes();  // `begun_` is used below
  std::size_t n_done = 0, n = 0;
  for (const Event& event : events) {
    if (const std::optional<Sound> sound = sound_of(event)) {
      const auto is_free = [this](const Slot& slot) noexcept AUDIOGEN_REALTIME {
        const bool begins_glide = &slot == &slots_[last_slot_];
        return !slot.voice->active() && !slot.is_prepared && !begins_glide;
      };
      const auto slot = std::find_if(slots_.begin(), slots_.end(), is_free);
      if (slot == slots_.end()) break;
      prepared_notes_[n] = set_up(*slot, event, *sound, n_notes_ + n_prepared_++);
      slot->is_prepared = true;
      begun_[n++] = static_cast<std::size_t>(slot - slots_.begin());
    }
    ++n_done;
  }
  on_threads(n, [this](std::size_t i) noexcept AUDIOGEN_REALTIME {
    slots_[begun_[i]].voice->prepare(prepared_notes_[i]);
  });
  return n_done;
}

void Engine::note_off(Slot& slot) noexcept AUDIOGEN_REALTIME {
  slot.pedalled = value(Parameter::kSustain) >= 0.5f;
  if (!slot.pedalled) slot.voice->note_off();
}

void Engine::set(const Event& event) noexcept AUDIOGEN_REALTIME {
  if (event.id >= kParameterCount || !std::isfinite(event.value)) return;
  const ParameterInfo& info = kParameters[event.id];
  const float wanted = std::clamp(event.value, info.lowest, info.highest);
  if (event.id == static_cast<std::uint32_t>(Parameter::kListen) && wanted >= 0.5f && !listens()) {
    voices_->start_listening(event.timbre < instrument_->n_timbres() ? event.timbre : 0);
  }
  if (n_sounding() == 0) {  // the step is inaudible
    parameters_[event.id].set(wanted);
  } else {
    parameters_[event.id].move_to(wanted);
  }
  tick_needed_ = true;
  if (value(Parameter::kSustain) >= 0.5f) return;
  for (Slot& slot : slots_) {
    if (std::exchange(slot.pedalled, false) && slot.voice->active()) slot.voice->note_off();
  }
}

void Engine::express(const Event& event) noexcept AUDIOGEN_REALTIME {
  if (!std::isfinite(event.value)) return;
  const auto which =
      static_cast<std::size_t>(event.kind) - static_cast<std::size_t>(EventKind::kNoteBend);
  const float wanted =
      std::clamp(event.value, kExpressionTable[which].lowest, kExpressionTable[which].highest);
  bool is_held = false;
  for (Slot& slot : slots_) {
    if (slot.id != event.id || !slot.voice->active()) continue;
    slot.expression[which].move_to(wanted);
    tick_needed_ = true;
    is_held = is_held || !(slot.voice->released() || slot.pedalled);
  }
  if (is_held) return;
  if (!early_.is_set || early_.id != event.id) {
    early_ = {true, event.id, {}};
    for (std::size_t e = 0; e < kExpressions; ++e) early_.values[e] = kExpressionTable[e].initial;
  }
  early_.values[which] = wanted;
}

// Steals notes until there are fewer than `voices`.
Engine::Slot& Engine::free_slot() noexcept AUDIOGEN_REALTIME {
  const float wanted = std::nearbyint(value(Parameter::kVoices));
  std::size_t most = slots_.size();
  if (wanted < kMostVoices) most = std::min(most, static_cast<std::size_t>(wanted));
  for (std::size_t n = n_sounding(); n >= most; --n) steal();
  Slot* free = slots_.data();
  while (free->voice->active()) ++free;
  // The note plays in this slot, by which voices are ordered, whether it is prepared or not.
  for (Slot& slot : slots_) {
    if (&slot == free || !slot.is_prepared || slot.number != n_notes_) continue;
    std::swap(slot.voice, free->voice);
    std::swap(slot.voice_index, free->voice_index);
    std::swap(slot.number, free->number);
    std::swap(slot.is_prepared, free->is_prepared);
    break;
  }
  return *free;
}

// Steals the oldest released note, or the oldest note if none is released.
void Engine::steal() noexcept AUDIOGEN_REALTIME {
  Slot* chosen = nullptr;
  for (Slot& slot : slots_) {
    if (!slot.voice->active()) continue;
    const bool released = slot.voice->released();
    const bool earlier =
        chosen == nullptr ||
        (released != chosen->voice->released() ? released : slot.number < chosen->number);
    if (earlier) chosen = &slot;
  }
  if (chosen == nullptr) return;
  ++n_stolen_;
  fade_out(*chosen);
}

// Ends the drums of a group, as a closed hi-hat ends an open one.
void Engine::end_group(int group) noexcept AUDIOGEN_REALTIME {
  if (group == 0) return;
  for (Slot& slot : slots_) {
    if (slot.group == group && slot.voice->active()) fade_out(slot);
  }
}

void Engine::fade_out(Slot& slot) noexcept AUDIOGEN_REALTIME {
  const std::size_t n = fading_[0].size();
  std::fill_n(voice_.begin(), n, 0.0f);
  slot.voice->add(voice_.data(), n);
  for (std::size_t c = 0; c < resamplers_.size(); ++c) {
    for (std::size_t i = 0; i < n; ++i) {
      const float gain = 1.0f - static_cast<float>(i + 1) / static_cast<float>(n + 1);
      fading_[c][(model_time_ + i) % n] += gain * slot.next_gain[c] * voice_[i];
    }
  }
  fading_end_ = model_time_ + n;
  slot.voice->reset();
}

}  // namespace audiogen::engine

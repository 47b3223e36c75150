// Checks of a GANSynth preset's fields, and the tables that its voices share.
#include "engine/frames/frame_instrument.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine/frames/frame_voice.h"
#include "kernels/spectra/istft.h"

namespace audiogen::engine {

static void require(bool holds, const std::string& message) {
  if (!holds) throw std::invalid_argument(message);
}

static void check_band_map(const BandMap& mel, std::size_t n_bins) {
  const std::size_t n = mel.weights.size();
  require(mel.starts.size() == n_bins + 1 && mel.bands.size() == n && mel.starts.back() == n &&
              std::is_sorted(mel.starts.begin(), mel.starts.end()),
          "the map of mel bands does not fit " + std::to_string(n_bins) + " bins");
  for (const std::uint32_t band : mel.bands) {
    require(band < n_bins,
            "mel band " + std::to_string(band) + " must be below " + std::to_string(n_bins));
  }
  require(std::isfinite(mel.floor) && mel.floor > 0.0f, "magnitude_floor must be > 0");
}

static void check_latent(const std::vector<float>& z, std::size_t latent_size) {
  require(z.size() == latent_size, "a timbre has " + std::to_string(z.size()) +
                                       " numbers; it must have " + std::to_string(latent_size));
  for (const float value : z) require(std::isfinite(value), "a timbre holds NaN or infinity");
}

static FrameSettings checked(FrameSettings settings) {
  require(settings.generator != nullptr, "instrument has no generator");
  const models::GeneratorConfig& config = settings.generator->config();
  const Spectrogram& s = settings.spectrogram;
  require(s.n_fft >= 16 && (s.n_fft & (s.n_fft - 1)) == 0,
          "n_fft=" + std::to_string(s.n_fft) + " must be a power of two, 16 or more");
  require(s.hop_length > 0 && s.n_fft % s.hop_length == 0 && s.n_fft / s.hop_length >= 2,
          "hop_length=" + std::to_string(s.hop_length) + " must be n_fft=" +
              std::to_string(s.n_fft) + " divided by a whole number, 2 or more");
  require(config.n_bins() == s.n_bins(),
          "n_fft=" + std::to_string(s.n_fft) + " has " + std::to_string(s.n_bins()) +
              " bins, but the generator has " + std::to_string(config.n_bins()));
  for (const float scale : {s.magnitude_scale, s.frequency_scale}) {
    require(std::isfinite(scale) && scale > 0.0f,
            "magnitude_scale and frequency_scale must be > 0");
  }
  require(std::isfinite(s.magnitude_offset), "magnitude_offset must be finite");
  if (!s.mel.empty()) check_band_map(s.mel, s.n_bins());
  const Sustain& sustain = settings.sustain;
  require(!sustain.loops() || sustain.loop_end >= sustain.loop_start + 2,
          "loop_end=" + std::to_string(sustain.loop_end) +
              " must be at least 2 frames after loop_start=" + std::to_string(sustain.loop_start));
  require(sustain.loop_end <= config.n_frames() && sustain.release < config.n_frames(),
          "loop_end and release must be within the note's " + std::to_string(config.n_frames()) +
              " frames");
  for (const std::vector<float>& z : settings.timbres) check_latent(z, config.latent_size);
  require(settings.partials.size() <= settings.timbres.size(),
          "instrument has partials of " + std::to_string(settings.partials.size()) +
              " timbres, more than its " + std::to_string(settings.timbres.size()) + " timbres");
  for (const models::TimbrePartials& partials : settings.partials) {
    const std::optional<std::string> fault = partials.fault();
    require(!fault, fault.value_or(""));
  }
  require(settings.macros.size() <= kMacroCount,
          "instrument has " + std::to_string(settings.macros.size()) +
              " macros; it must have at most " + std::to_string(kMacroCount));
  for (const Macro& macro : settings.macros) {
    require(
        macro.direction.size() == config.latent_size,
        "the direction of a macro must have " + std::to_string(config.latent_size) + " numbers");
  }
  return settings;
}

SynthesisTables::SynthesisTables(const Spectrogram& spectrogram)
    : fft_(spectrogram.n_fft), window_(spectrogram.n_fft) {
  const std::size_t n_fft = spectrogram.n_fft, hop = spectrogram.hop_length;
  const std::vector<double> hann = kernels::hann_window(n_fft);
  for (std::size_t n = 0; n < n_fft; ++n) {
    double squares = 0.0;
    for (std::size_t m = n % hop; m < n_fft; m += hop) squares += hann[m] * hann[m];
    // `inverse_real_fft` gives n_fft / 2 times the signal.
    window_[n] = static_cast<float>(hann[n] * 2.0 / (static_cast<double>(n_fft) * squares));
  }
  for (std::size_t start = spectrogram.pad_front();; start -= hop) {
    double moment = 0.0, weight = 0.0;
    for (std::size_t n = start; n < n_fft; ++n) {
      moment += static_cast<double>(n) * hann[n];
      weight += hann[n];
    }
    onset_centroids_.push_back(moment / weight);
    if (start < hop) break;
  }
}

FrameInstrument::FrameInstrument(FrameSettings settings)
    : Instrument(settings.spectrogram.sample_rate, settings.pitch_range, settings.timbres.size(),
                 settings.programs),
      settings_(checked(std::move(settings))),
      tables_(settings_.spectrogram) {
  settings_.timbres.reserve(settings_.timbres.size() + kMostAdded);  // adding a timbre moves none
}

std::size_t FrameInstrument::add_timbre(const std::vector<float>& z) {
  check_latent(z, settings_.generator->config().latent_size);
  const std::lock_guard lock(adding_);
  std::vector<std::vector<float>>& timbres = settings_.timbres;
  if (const auto at = std::find(timbres.begin(), timbres.end(), z); at != timbres.end()) {
    return static_cast<std::size_t>(at - timbres.begin());
  }
  require(timbres.size() < timbres.capacity(),
          "no more than " + std::to_string(kMostAdded) + " latents can be added to an instrument");
  timbres.push_back(z);
  set_n_timbres(timbres.size());
  return timbres.size() - 1;
}

std::span<const float> FrameInstrument::move_latent(
    const std::vector<float>& z, const std::array<float, kMacroCount>& amounts,
    std::vector<float>& moved) const noexcept AUDIOGEN_REALTIME {
  bool moves = false;
  for (std::size_t i = 0; i < settings_.macros.size(); ++i) moves = moves || amounts[i] != 0.0f;
  if (!moves) return z;
  std::copy(z.begin(), z.end(), moved.begin());
  for (std::size_t i = 0; i < settings_.macros.size(); ++i) {
    const Macro& macro = settings_.macros[i];
    const float distance = amounts[i] * (amounts[i] < 0.0f ? -macro.lowest : macro.highest);
    for (std::size_t k = 0; k < moved.size(); ++k) moved[k] += distance * macro.direction[k];
  }
  double before = 0.0, after = 0.0;
  for (std::size_t k = 0; k < moved.size(); ++k) {
    before += static_cast<double>(z[k]) * static_cast<double>(z[k]);
    after += static_cast<double>(moved[k]) * static_cast<double>(moved[k]);
  }
  if (after > 0.0) {
    const auto scale = static_cast<float>(std::sqrt(before / after));
    for (float& value : moved) value *= scale;
  }
  return moved;
}

std::unique_ptr<Voices> FrameInstrument::make_voices(std::size_t n, std::size_t /*max_samples*/,
                                                     std::size_t /*n_inputs*/) const {
  return std::make_unique<SeparateVoices<FrameVoice>>(n, *this);
}

}  // namespace audiogen::engine

// Converts a preset's description to the settings of an instrument.
#include "engine/open_instrument.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "engine/frames/frame_instrument.h"
#include "engine/frames/mel_bands.h"
#include "engine/samples/sample_instrument.h"

namespace audiogen::engine {

using presets::Description;

static Spectrogram spectrogram_of(const Description& description) {
  using Frequency = presets::Spectrogram::Frequency;
  const presets::Spectrogram& from = description.spectrogram;
  Spectrogram to;
  to.sample_rate = description.sample_rate;
  to.n_fft = from.n_fft;
  to.hop_length = from.hop_length;
  to.magnitude_scale = static_cast<float>(from.magnitude_scale);
  to.magnitude_offset = static_cast<float>(from.magnitude_offset);
  to.frequency_scale = static_cast<float>(from.frequency_scale);
  to.phase = from.phase == presets::Spectrogram::Phase::kHarmonic
                 ? PhaseChannel::kHarmonic
                 : PhaseChannel::kInstantaneousFrequency;
  if (from.frequency != Frequency::kLinear) {
    to.mel =
        make_band_map(to.n_bins(), 0.5 * to.sample_rate, from.frequency == Frequency::kMelReleased);
    to.mel.floor = static_cast<float>(from.magnitude_floor);
  }
  return to;
}

static PitchRange pitch_range_of(const Description& description) {
  if (!description.pitch_range) return SampleSettings{}.pitch_range;
  return {static_cast<float>(description.pitch_range->first),
          static_cast<float>(description.pitch_range->second)};
}

static_assert(presets::kMostMacros == kMacroCount);

static std::vector<Macro> macros_of(const Description& description) {
  std::vector<Macro> macros;
  for (const presets::Macro& macro : description.macros) {
    for (const ParameterInfo& parameter : kParameters) {
      if (macro.name != parameter.name) continue;
      throw std::invalid_argument("macro '" + macro.name + "' of preset '" + description.name +
                                  "' has the name of a parameter; give it another name");
    }
    macros.push_back({macro.direction, macro.lowest, macro.highest});
  }
  return macros;
}

// The kit of a description; with a latent in place of the timbres all keys play that.
static Kit kit_of(const Description& description, bool has_latent) {
  const auto pitch = static_cast<float>(description.generator.pitch_min);
  std::vector<Drum> drums;
  for (const presets::Timbre& timbre : description.timbres) {
    drums.push_back({*timbre.key, timbre.pitch.value_or(pitch), timbre.pan, timbre.group});
  }
  return Kit::of(drums, pitch, !has_latent);
}

static std::shared_ptr<Instrument> frame_instrument_of(const presets::Preset& preset,
                                                       const InstrumentOptions& options) {
  const Description& description = preset.description();
  FrameSettings settings;
  settings.spectrogram = spectrogram_of(description);
  if (const auto& sustain = description.sustain) {
    settings.sustain = {sustain->loop_start_frame, sustain->loop_end_frame, sustain->release_frame};
  }
  settings.pitch_range = pitch_range_of(description);
  settings.macros = macros_of(description);
  if (options.latent) {
    settings.timbres = {*options.latent};
    const auto of_it = [&](const presets::Timbre& timbre) { return timbre.z == *options.latent; };
    const auto named = std::ranges::find_if(description.timbres, of_it);
    if (named != description.timbres.end()) settings.partials = {named->partials};
  } else {
    for (const presets::Timbre& timbre : description.timbres) {
      settings.timbres.push_back(timbre.z);
      settings.partials.push_back(timbre.partials);
    }
    settings.programs = presets::program_table(description.timbres, description.default_timbre);
  }
  settings.generator = preset.generator(options.precision);
  settings.frames = options.frames;
  return std::make_shared<FrameInstrument>(std::move(settings));
}

static std::shared_ptr<Instrument> sample_instrument_of(const presets::Preset& preset,
                                                        const InstrumentOptions& options) {
  const Description& description = preset.description();
  if (options.latent) {
    throw std::invalid_argument("latent is not supported by preset '" + description.name +
                                "', a SampleRNN; choose one of its timbres");
  }
  SampleSettings settings;
  settings.temperature = static_cast<float>(description.sampling.temperature);
  settings.top_p = static_cast<float>(description.sampling.top_p);
  settings.pitch_range = pitch_range_of(description);
  if (!description.timbres.empty()) settings.n_timbres = description.timbres.size();
  settings.programs = presets::program_table(description.timbres, description.default_timbre);
  settings.network = preset.samplernn(options.precision);
  settings.samples = options.samples;
  return std::make_shared<SampleInstrument>(std::move(settings));
}

float initial_value(const Description& description, Parameter parameter) {
  if (description.kind == presets::Kind::kSamplernn) {
    const presets::Sampling& sampling = description.sampling;
    if (parameter == Parameter::kTemperature) return static_cast<float>(sampling.temperature);
    if (parameter == Parameter::kTopP) return static_cast<float>(sampling.top_p);
  }
  return info(parameter).initial;
}

std::shared_ptr<Instrument> make_instrument(const presets::Preset& preset,
                                            const InstrumentOptions& options) {
  const Description& description = preset.description();
  const auto instrument = description.kind == presets::Kind::kGansynth
                              ? frame_instrument_of(preset, options)
                              : sample_instrument_of(preset, options);
  std::vector<Place> places;
  std::vector<std::optional<presets::Vibrato>> vibratos;
  std::vector<float> gains;
  // A GANSynth's change of pitch sounds half a window after it is set, one of the level at once.
  const double pitch_delay_s = description.kind == presets::Kind::kGansynth
                                   ? description.spectrogram.n_fft / 2.0 / description.sample_rate
                                   : 0.0;
  if (!options.latent) {
    for (const presets::Timbre& timbre : description.timbres) {
      gains.push_back(std::pow(10.0f, timbre.gain_db / 20.0f));
      std::optional<presets::Vibrato>& vibrato = vibratos.emplace_back(timbre.vibrato);
      if (vibrato)
        vibrato->tremolo_phase -= static_cast<float>(360.0 * pitch_delay_s) * vibrato->rate_hz;
      if (timbre.place) places.push_back({timbre.place->first, timbre.place->second});
    }
  }
  instrument->set_places(std::move(places));
  instrument->set_vibratos(std::move(vibratos), pitch_delay_s);
  instrument->set_gains(std::move(gains));
  if (description.is_kit()) instrument->set_kit(kit_of(description, options.latent.has_value()));
  return instrument;
}

}  // namespace audiogen::engine

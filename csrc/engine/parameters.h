// The table of parameters. All front ends read it, so that a new row appears in each of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/realtime.h"

namespace audiogen::engine {

enum class Parameter : std::uint32_t {
  kVolume,
  kPan,
  kSpread,
  kBend,
  kGlide,
  kSustain,
  kVibrato,
  kExpression,
  kMorph,
  kMorphTimbre,
  kTemperature,
  kTopP,
  kListen,
  kMonitor,
  kAttack,
  kRelease,
  kMacro1,  // the preset's macros follow one another
  kMacro2,
  kMacro3,
  kMacro4,
  kMacro5,
  kMacro6,
  kMacro7,
  kMacro8,
  kReverb,
  kTimbreMap,
  kTimbreX,
  kTimbreY,
  kVoices,
  kPitchWheel,
  kBendRange,
  kVariation,
  kTilt,
  kNoise,
  kVibratoRate,
};

// A preset names up to this many macros: directions in its latent space.
inline constexpr std::size_t kMacroCount = 8;

// Highest value of `voices`, which sets no limit of its own.
inline constexpr float kMostVoices = 16.0f;

struct ParameterInfo {
  const char* name;
  const char* unit;  // empty: dimensionless
  float lowest;
  float highest;
  float initial;       // an instrument may have its own (`Instrument::initial`)
  double smoothing_s;  // duration of a change while something sounds; 0: at once
  int controller;      // MIDI controller, 0 .. 127, or kNoController, kWheelMessages
  const char* help;
};

inline constexpr int kNoController = -1;
inline constexpr int kWheelMessages = -2;  // moved by the pitch wheel

// In the order of `Parameter`.
inline constexpr ParameterInfo kParameters[] = {
    {"volume", "", 0.0f, 1.0f, 1.0f, 0.02, 7, "Loudness; the gain is its square."},
    {"pan", "", -1.0f, 1.0f, 0.0f, 0.02, 10, "Position from left (-1) to right (1)."},
    {"spread", "", 0.0f, 1.0f, 0.0f, 0.02, kNoController,
     "Stereo width over which notes are distributed."},
    {"bend", "semitones", -48.0f, 48.0f, 0.0f, 0.01, kNoController, "Offset of all pitches."},
    {"glide", "s", 0.0f, 10.0f, 0.0f, 0.0, 5,
     "Duration of the glide from the pitch of the last note."},
    {"sustain", "", 0.0f, 1.0f, 0.0f, 0.0, 64,
     "Sustain pedal: from 0.5, released notes keep sounding."},
    {"vibrato", "semitones", 0.0f, 2.0f, 0.0f, 0.05, 1,
     "Vibrato depth, at 5.5 Hz or the timbre's own rate; channel pressure moves it, too."},
    {"expression", "", 0.0f, 1.0f, 1.0f, 0.02, 11,
     "Expression; the gain is the square of volume times expression."},
    {"morph", "", 0.0f, 1.0f, 0.0f, 0.03, 16,
     "Morph from the timbre of a note (0) to morph_timbre (1)."},
    {"morph_timbre", "", 0.0f, 4095.0f, 0.0f, 0.0, kNoController,
     "Index of the target timbre of morph."},
    {"temperature", "", 0.0f, 2.0f, 1.0f, 0.02, kNoController,
     "Sampling temperature of a SampleRNN; 0 is greedy."},
    {"top_p", "", 0.01f, 1.0f, 1.0f, 0.0, kNoController,
     "Probability mass of the nucleus that a SampleRNN samples from."},
    {"listen", "", 0.0f, 1.0f, 0.0f, 0.0, kNoController,
     "From 0.5, notes of an unconditional SampleRNN continue the audio input."},
    {"monitor", "", 0.0f, 1.0f, 0.0f, 0.0, kNoController,
     "Level of the audio input in the output."},
    {"attack", "", -1.0f, 1.0f, 0.0f, 0.0, 73,
     "Attack: 8 times as fast (-1), the preset's own (0), to a fade-in of 4 s (1)."},
    {"release", "", -1.0f, 1.0f, 0.0f, 0.0, 72,
     "Duration of the release: an eighth (-1), the preset's own (0), to 8 times (1)."},
    {"macro_1", "", -1.0f, 1.0f, 0.0f, 0.03, 74, "Amount of the preset's first macro."},
    {"macro_2", "", -1.0f, 1.0f, 0.0f, 0.03, 71, "Amount of the preset's second macro."},
    {"macro_3", "", -1.0f, 1.0f, 0.0f, 0.03, 17, "Amount of the preset's third macro."},
    {"macro_4", "", -1.0f, 1.0f, 0.0f, 0.03, 18, "Amount of the preset's fourth macro."},
    {"macro_5", "", -1.0f, 1.0f, 0.0f, 0.03, 19, "Amount of the preset's fifth macro."},
    {"macro_6", "", -1.0f, 1.0f, 0.0f, 0.03, kNoController, "Amount of the preset's sixth macro."},
    {"macro_7", "", -1.0f, 1.0f, 0.0f, 0.03, kNoController,
     "Amount of the preset's seventh macro."},
    {"macro_8", "", -1.0f, 1.0f, 0.0f, 0.03, kNoController, "Amount of the preset's eighth macro."},
    {"reverb", "", 0.0f, 1.0f, 0.0f, 0.05, 91, "Level of the sound in a small room; 0 is dry."},
    {"timbre_map", "", 0.0f, 1.0f, 0.0f, 0.0, kNoController,
     "From 0.5, timbre_x and timbre_y choose the timbres of notes and the morph between them."},
    {"timbre_x", "", 0.0f, 1.0f, 0.5f, 0.03, kNoController,
     "Position on the timbre map from left to right."},
    {"timbre_y", "", 0.0f, 1.0f, 0.5f, 0.03, kNoController,
     "Position on the timbre map from top to bottom."},
    {"voices", "", 1.0f, kMostVoices, kMostVoices, 0.0, kNoController,
     "Maximum number of sounding notes; 16 is no limit below the engine's polyphony."},
    {"pitch_wheel", "", -1.0f, 1.0f, 0.0f, 0.01, kWheelMessages,
     "Position of the pitch wheel, which bends all notes by up to bend_range."},
    {"bend_range", "semitones", 0.0f, 48.0f, 2.0f, 0.01, kNoController,
     "Bend at the ends of the pitch wheel; RPN 0 (pitch bend sensitivity) sets it, too."},
    {"variation", "", 0.0f, 127.0f, 0.0f, 0.0, kNoController,
     "Added to the random seed of later notes."},
    {"tilt", "dB/octave", -6.0f, 6.0f, 0.0f, 0.03, kNoController,
     "Brightness: slope added to a note's spectrum from its pitch up, at equal power."},
    {"noise", "dB", -24.0f, 24.0f, 0.0f, 0.03, kNoController,
     "Gain of the noise between a note's partials, at equal power."},
    {"vibrato_rate", "", -1.0f, 1.0f, 0.0f, 0.05, 76,
     "Vibrato rate: half (-1), the timbre's own or 5.5 Hz (0), to twice (1)."},
};

inline constexpr std::size_t kParameterCount = sizeof(kParameters) / sizeof(kParameters[0]);

constexpr const ParameterInfo& info(Parameter parameter) noexcept AUDIOGEN_REALTIME {
  return kParameters[static_cast<std::size_t>(parameter)];
}

}  // namespace audiogen::engine

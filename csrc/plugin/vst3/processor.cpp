// Turns what the host sends into calls of an `Instance`.
#include "plugin/vst3/processor.h"

#include <pluginterfaces/base/ustring.h>
#include <pluginterfaces/vst/ivstevents.h>
#include <pluginterfaces/vst/ivstparameterchanges.h>
#include <pluginterfaces/vst/vstspeaker.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <tuple>
#include <utility>

#include "plugin/common/own_folders.h"
#include "plugin/vst3/controller.h"
#include "plugin/vst3/parameters.h"
#include "plugin/vst3/streams.h"

namespace audiogen::plugin::vst3 {

using namespace Steinberg;
using namespace Steinberg::Vst;

const FUID kProcessorId(0x6A1D24C7, 0x9F0B4E53, 0xB1C6D0E2, 0x5A7A3C11);

Processor::Processor() : instance_(own_folders(), true) {
  setControllerClass(kControllerId);
  for (std::size_t i = 0; i < audiogen_n_parameters(); ++i) {
    const audiogen_parameter& row = *audiogen_parameter_info(i);
    rows_.push_back({id_of(row.name), i, row.lowest, row.highest});
  }
}

tresult PLUGIN_API Processor::initialize(FUnknown* context) {
  const tresult result = AudioEffect::initialize(context);
  if (result != kResultOk) return result;
  addAudioOutput(STR16("Output"), SpeakerArr::kStereo);
  addAudioInput(STR16("Side chain"), SpeakerArr::kStereo, kAux, 0);
  addEventInput(STR16("MIDI"), 16);
  return kResultOk;
}

tresult PLUGIN_API Processor::setBusArrangements(SpeakerArrangement* inputs, int32 n_inputs,
                                                 SpeakerArrangement* outputs, int32 n_outputs) {
  for (int32 i = 0; i < n_inputs; ++i) {
    if (inputs[i] != SpeakerArr::kStereo) return kResultFalse;
  }
  if (n_outputs != 1 || outputs[0] != SpeakerArr::kStereo) return kResultFalse;
  return kResultTrue;
}

tresult PLUGIN_API Processor::canProcessSampleSize(int32 size) {
  return size == kSample32 ? kResultTrue : kResultFalse;
}

void Processor::prepare() {
  instance_.activate(static_cast<std::uint32_t>(std::lround(processSetup.sampleRate)),
                     static_cast<std::uint32_t>(std::max(1, processSetup.maxSamplesPerBlock)));
  reported_latency_ = instance_.latency();  // hosts ask for it next
  prepared_ = true;
  print_status();
}

// Prepares, too, because hosts ask for the latency before they activate.
tresult PLUGIN_API Processor::setupProcessing(ProcessSetup& setup) {
  const tresult result = AudioEffect::setupProcessing(setup);
  if (result == kResultOk) prepare();
  return result;
}

tresult PLUGIN_API Processor::setActive(TBool active) {
  if (active && !prepared_) prepare();
  prepared_ = false;
  if (!active) instance_.deactivate();
  return AudioEffect::setActive(active);
}

// Hosts leave out the memory of a bus that is not active.
static bool has_stereo(const AudioBusBuffers& bus) noexcept {
  return bus.numChannels == 2 && bus.channelBuffers32 && bus.channelBuffers32[0] &&
         bus.channelBuffers32[1];
}

tresult PLUGIN_API Processor::process(ProcessData& data) {
  if (data.inputParameterChanges) take_parameters(*data.inputParameterChanges);
  if (data.inputEvents) take_events(*data.inputEvents);
  take_notes();
  report_state(data.outputParameterChanges);
  if (data.numSamples <= 0 || data.numOutputs < 1 || !has_stereo(data.outputs[0])) return kResultOk;
  AudioBusBuffers& output = data.outputs[0];
  const bool has_input = data.numInputs > 0 && has_stereo(data.inputs[0]);
  instance_.process(output.channelBuffers32, static_cast<std::size_t>(data.numSamples),
                    has_input ? data.inputs[0].channelBuffers32 : nullptr,
                    data.processMode == kOffline);
  output.silenceFlags = 0;
  report_levels(data.outputParameterChanges);
  return kResultOk;
}

void Processor::take_parameters(IParameterChanges& changes) noexcept {
  for (int32 i = 0; i < changes.getParameterCount(); ++i) {
    IParamValueQueue* queue = changes.getParameterData(i);
    if (!queue) continue;
    const std::uint32_t id = queue->getParameterId();
    for (int32 k = 0; k < queue->getPointCount(); ++k) {
      int32 offset = 0;
      ParamValue value = 0.0;
      if (queue->getPoint(k, offset, value) != kResultTrue) continue;
      value = std::clamp(value, 0.0, 1.0);
      const auto at = static_cast<std::uint32_t>(std::max(0, offset));
      if (id >= kMidiId && id <= kMidiId + kWheel && n_midi_ < midi_.size()) {
        midi_[n_midi_++] = {at, k, id, value};
      } else {
        take_value(id, value, at);
      }
    }
  }
  take_midi();
}

// In the order in which they were sent, as far as the host's queues of single controllers tell it:
// data entry follows the number of its parameter, which other numbers may follow at once.
void Processor::take_midi() noexcept {
  const auto order = [](const MidiPoint& point) {
    const std::uint32_t controller = point.id - kMidiId;
    return std::tuple(point.offset, point.number, controller == 6 || controller == 38, point.id);
  };
  const auto end = midi_.begin() + static_cast<std::ptrdiff_t>(std::exchange(n_midi_, 0));
  std::sort(midi_.begin(), end,
            [&](const MidiPoint& a, const MidiPoint& b) { return order(a) < order(b); });
  for (auto point = midi_.begin(); point != end; ++point) {
    take_value(point->id, point->value, point->offset);
  }
}

void Processor::take_value(std::uint32_t id, double value, std::uint32_t offset) noexcept {
  const auto choice = [&](int last) {
    return std::min(last, static_cast<int>(value * (last + 1)));
  };
  if (id == kPresetId) {
    const int wanted = choice(static_cast<int>(instance_.presets().size()));
    if (wanted > 0 && wanted - 1 != instance_.wanted_preset()) instance_.request_preset(wanted - 1);
  } else if (id == kTimbreId) {
    instance_.choose_timbre(choice(kMostTimbres) - 1);
  } else if (id >= kFirstTableId) {
    for (const Row& row : rows_) {
      if (row.id != id) continue;
      const double range = static_cast<double>(row.highest) - row.lowest;
      instance_.set_parameter(row.index, static_cast<float>(row.lowest + value * range), offset);
    }
  } else if (id >= kMidiId && id <= kMidiId + kWheel) {
    const std::uint32_t controller = id - kMidiId;
    const auto seven = static_cast<std::uint8_t>(std::lround(127.0 * value));
    if (controller == kWheel) {
      const auto wheel = static_cast<std::uint32_t>(std::lround(16383.0 * value));
      const std::uint8_t bytes[] = {0xE0, static_cast<std::uint8_t>(wheel & 127),
                                    static_cast<std::uint8_t>(wheel >> 7)};
      instance_.midi(bytes, sizeof(bytes), offset);
    } else if (controller == kPressure) {
      const std::uint8_t bytes[] = {0xD0, seven};
      instance_.midi(bytes, sizeof(bytes), offset);
    } else {
      const std::uint8_t bytes[] = {0xB0, static_cast<std::uint8_t>(controller), seven};
      instance_.midi(bytes, sizeof(bytes), offset);
    }
  }
}

// Notes of the window's keys have ids that no host uses.
static std::int32_t window_key_of(std::uint8_t pitch) { return -100'000 - pitch; }

void Processor::take_notes() noexcept {
  for (NoteQueue::Note note; notes_.pop(note);) {
    if (note.velocity > 0.0f) {
      instance_.note_on(window_key_of(note.pitch), note.pitch, note.velocity, 0);
    } else {
      instance_.note_off(window_key_of(note.pitch), 0);
    }
  }
}

// Answers in the thread of the window, so that the audio thread sends no messages.
void Processor::send_keys() {
  const IPtr<IMessage> answer = owned(allocateMessage());
  if (!answer) return;
  const Instance::Keys keys = instance_.keys();
  answer->setMessageID(kKeysMessage);
  answer->getAttributes()->setInt(kLowKeys, static_cast<int64>(keys[0]));
  answer->getAttributes()->setInt(kHighKeys, static_cast<int64>(keys[1]));
  sendMessage(answer);
}

tresult PLUGIN_API Processor::notify(IMessage* message) {
  if (message && std::strcmp(message->getMessageID(), kKeysMessage) == 0) {
    send_keys();
    return kResultOk;
  }
  if (!message || std::strcmp(message->getMessageID(), kNoteMessage) != 0) {
    return AudioEffect::notify(message);
  }
  int64 pitch = 0;
  double velocity = 0.0;
  IAttributeList* attributes = message->getAttributes();
  if (attributes->getInt(kNotePitch, pitch) != kResultOk || pitch < 0 || pitch > 127 ||
      attributes->getFloat(kNoteVelocity, velocity) != kResultOk) {
    return kInvalidArgument;
  }
  notes_.push({static_cast<std::uint8_t>(pitch), static_cast<float>(velocity)});
  return kResultOk;
}

// Note ids of the host, or channel and key, below -1 as no id is.
static std::int32_t key_of(std::int32_t id, std::int16_t channel, std::int16_t pitch) {
  return id >= 0 ? id : -2 - (channel * 128 + pitch);
}

void Processor::take_events(IEventList& events) noexcept {
  for (int32 i = 0; i < events.getEventCount(); ++i) {
    Event event;
    if (events.getEvent(i, event) != kResultOk) continue;
    const auto offset = static_cast<std::uint32_t>(std::max(0, event.sampleOffset));
    if (event.type == Event::kNoteOnEvent) {
      const NoteOnEvent& on = event.noteOn;
      instance_.note_on(key_of(on.noteId, on.channel, on.pitch),
                        static_cast<float>(on.pitch) + 0.01f * on.tuning, on.velocity, offset);
    } else if (event.type == Event::kNoteOffEvent) {
      const NoteOffEvent& off = event.noteOff;
      instance_.note_off(key_of(off.noteId, off.channel, off.pitch), offset);
    } else if (event.type == Event::kPolyPressureEvent) {
      const PolyPressureEvent& pressed = event.polyPressure;
      instance_.express(key_of(pressed.noteId, pressed.channel, pressed.pitch), AUDIOGEN_NOTE_LEVEL,
                        1.0f + pressed.pressure, offset);
    } else if (event.type == Event::kNoteExpressionValueEvent) {
      take_expression(event.noteExpressionValue, offset);
    }
  }
}

// The format's ranges: tuning is -120 to 120 semitones, volume a gain of 0 to 4.
void Processor::take_expression(const NoteExpressionValueEvent& event,
                                std::uint32_t offset) noexcept {
  const auto value = static_cast<float>(event.value);
  switch (event.typeId) {
    case kTuningTypeID:
      return instance_.express(event.noteId, AUDIOGEN_NOTE_BEND, 240.0f * (value - 0.5f), offset);
    case kVolumeTypeID:
      return instance_.express(event.noteId, AUDIOGEN_NOTE_LEVEL, 4.0f * value, offset);
    case kPressureType:
      return instance_.express(event.noteId, AUDIOGEN_NOTE_LEVEL, 1.0f + value, offset);
    case kBrightnessTypeID:
      return instance_.express(event.noteId, AUDIOGEN_NOTE_SLIDE, 2.0f * value - 1.0f, offset);
    default:
      return;
  }
}

// Sends a read-only parameter's value to the controller; whether the host took it.
static bool report(IParameterChanges& changes, ParamID id, double value) noexcept {
  int32 index = 0;
  IParamValueQueue* queue = changes.addParameterData(id, index);
  return queue && queue->addPoint(0, value, index) == kResultOk;
}

void Processor::report_levels(IParameterChanges* changes) noexcept {
  for (std::size_t c = 0; changes && c < reported_levels_.size(); ++c) {
    const float level = std::min(1.0f, instance_.level(c));
    if (level == reported_levels_[c]) continue;
    const ParamID id = kLevelLeftId + static_cast<ParamID>(c);
    if (report(*changes, id, static_cast<double>(level))) reported_levels_[c] = level;
  }
}

void Processor::report_state(IParameterChanges* changes) noexcept {
  if (!changes) return;
  const bool missing = instance_.missing();
  if (missing != reported_missing_ && report(*changes, kMissingId, missing ? 1.0 : 0.0)) {
    reported_missing_ = missing;
  }
  const std::uint32_t latency = instance_.latency();
  if (latency != reported_latency_ && report(*changes, kLatencyId, latency / kLongestLatency)) {
    reported_latency_ = latency;
  }
}

// The format has no log; hosts show the errors of plug-ins on their terminal.
void Processor::print_status() {
  const std::string message = instance_.status();
  if (!message.empty()) std::fprintf(stderr, "audiogen: %s\n", message.c_str());
}

tresult PLUGIN_API Processor::setState(IBStream* stream) {
  if (!stream) return kInvalidArgument;
  const bool fine = instance_.read_state(read_stream, stream);
  print_status();
  return fine ? kResultOk : kResultFalse;
}

tresult PLUGIN_API Processor::getState(IBStream* stream) {
  if (!stream) return kInvalidArgument;
  return instance_.write_state(write_stream, stream) ? kResultOk : kResultFalse;
}

}  // namespace audiogen::plugin::vst3

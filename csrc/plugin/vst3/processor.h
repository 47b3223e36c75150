// The part of the VST3 plug-in that makes sound.
#pragma once

#include <pluginterfaces/vst/ivstnoteexpression.h>
#include <public.sdk/source/vst/vstaudioeffect.h>

#include <array>
#include <cstdint>
#include <vector>

#include "plugin/common/instance.h"
#include "plugin/vst3/note_queue.h"

namespace audiogen::plugin::vst3 {

extern const Steinberg::FUID kProcessorId;

class Processor final : public Steinberg::Vst::AudioEffect {
 public:
  Processor();
  static Steinberg::FUnknown* create(void*) {
    return static_cast<Steinberg::Vst::IAudioProcessor*>(new Processor);
  }

  Steinberg::tresult PLUGIN_API initialize(Steinberg::FUnknown* context) override;
  Steinberg::tresult PLUGIN_API setBusArrangements(Steinberg::Vst::SpeakerArrangement* inputs,
                                                   Steinberg::int32 n_inputs,
                                                   Steinberg::Vst::SpeakerArrangement* outputs,
                                                   Steinberg::int32 n_outputs) override;
  Steinberg::tresult PLUGIN_API canProcessSampleSize(Steinberg::int32 size) override;
  Steinberg::tresult PLUGIN_API setupProcessing(Steinberg::Vst::ProcessSetup& setup) override;
  Steinberg::tresult PLUGIN_API setActive(Steinberg::TBool active) override;
  Steinberg::tresult PLUGIN_API process(Steinberg::Vst::ProcessData& data) override;
  Steinberg::tresult PLUGIN_API setState(Steinberg::IBStream* stream) override;
  Steinberg::tresult PLUGIN_API getState(Steinberg::IBStream* stream) override;
  Steinberg::tresult PLUGIN_API notify(Steinberg::Vst::IMessage* message) override;
  Steinberg::uint32 PLUGIN_API getLatencySamples() override { return instance_.latency(); }
  Steinberg::uint32 PLUGIN_API getTailSamples() override {
    return Steinberg::Vst::kInfiniteTail;  // a note may sound on while the pedal is down
  }

 private:
  void take_parameters(Steinberg::Vst::IParameterChanges& changes) noexcept;
  void take_value(std::uint32_t id, double value, std::uint32_t offset) noexcept;
  void take_midi() noexcept;
  void take_events(Steinberg::Vst::IEventList& events) noexcept;
  void take_expression(const Steinberg::Vst::NoteExpressionValueEvent& event,
                       std::uint32_t offset) noexcept;
  void take_notes() noexcept;
  void report_levels(Steinberg::Vst::IParameterChanges* changes) noexcept;
  void report_state(Steinberg::Vst::IParameterChanges* changes) noexcept;
  void print_status();
  void send_keys();

  struct Row {
    std::uint32_t id;
    std::size_t index;
    float lowest, highest;
  };

  struct MidiPoint {
    std::uint32_t offset = 0;
    std::int32_t number = 0;  // in its queue
    std::uint32_t id = 0;
    double value = 0.0;
  };

  void prepare();

  Instance instance_;
  bool prepared_ = false;  // and nothing has been played since
  std::vector<Row> rows_;  // of the table of parameters
  bool reported_missing_ = false;
  std::uint32_t reported_latency_ = 0;
  std::array<MidiPoint, 512> midi_{};  // of a block
  std::size_t n_midi_ = 0;
  NoteQueue notes_;  // of the window's keyboard
  std::array<float, Instance::kChannels> reported_levels_{};
};

}  // namespace audiogen::plugin::vst3

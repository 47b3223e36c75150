// Parameters, programs and controllers of the VST3 plug-in.
#include "plugin/vst3/controller.h"

#include <algorithm>
#include <string_view>

#include "plugin/common/own_folders.h"
#include "plugin/vst3/parameters.h"
#include "plugin/vst3/streams.h"
#include "plugin/vst3/view.h"

namespace audiogen::plugin::vst3 {

using namespace Steinberg;
using namespace Steinberg::Vst;

const FUID kControllerId(0x0D3C7F58, 0x2E6A4B9D, 0x8F41A7C3, 0x96E05B22);

// The preset of a new instance, if it is found (`Instance::activate`).
static constexpr const char* kFirstPreset = "plucked";

// All names are of ASCII.
static std::u16string wide(std::string_view text) {
  std::u16string result(text.begin(), text.end());
  return result.substr(0, 127);  // a String128 with its final 0
}

tresult PLUGIN_API Controller::initialize(FUnknown* context) {
  const tresult result = EditControllerEx1::initialize(context);
  if (result != kResultOk) return result;
  std::vector<const char*> own;
  const std::vector<std::string> places = own_folders();
  for (const std::string& place : places) own.push_back(place.c_str());
  if (const PresetList list(audiogen_find_presets(own.data(), own.size())); list) {
    for (std::size_t i = 0; i < audiogen_n_found(list.get()); ++i) {
      presets_.emplace_back(audiogen_found_name(list.get(), i));
      folders_.emplace_back(audiogen_found_folder(list.get(), i));
    }
  }
  auto* preset = new StringListParameter(STR16("Preset"), kPresetId);
  preset->appendString(STR16("as saved"));
  for (const std::string& name : presets_) preset->appendString(wide(name).c_str());
  parameters.addParameter(preset);

  addUnit(new Unit(STR16("Root"), kRootUnitId, kNoParentUnitId, kTimbreId));
  programs_ = new ProgramList(STR16("Timbre"), kTimbreId, kRootUnitId);
  programs_->addProgram(STR16("default"));
  for (int i = 0; i < kMostTimbres; ++i) programs_->addProgram(STR16("-"));
  addProgramList(programs_);
  parameters.addParameter(programs_->getParameter());
  name_timbres(kFirstPreset);

  parameters.addParameter(STR16("Preset missing"), nullptr, 1, 0.0, ParameterInfo::kIsReadOnly,
                          kMissingId);
  parameters.addParameter(STR16("Latency"), nullptr, 0, 0.0, ParameterInfo::kIsReadOnly,
                          kLatencyId);
  parameters.addParameter(STR16("Level left"), nullptr, 0, 0.0, ParameterInfo::kIsReadOnly,
                          kLevelLeftId);
  parameters.addParameter(STR16("Level right"), nullptr, 0, 0.0, ParameterInfo::kIsReadOnly,
                          kLevelRightId);
  for (std::size_t i = 0; i < audiogen_n_parameters(); ++i) {
    const audiogen_parameter& row = *audiogen_parameter_info(i);
    std::string title = row.name;
    std::ranges::replace(title, '_', ' ');
    parameters.addParameter(new RangeParameter(wide(title).c_str(), id_of(row.name),
                                               wide(row.unit).c_str(), row.lowest, row.highest,
                                               row.initial));
  }
  // Ranges of the format's own types are the format's.
  const auto express = [&](NoteExpressionTypeID id, const TChar* title, const TChar* unit,
                           double initial, int32 flags, PhysicalUITypeID moved_by) {
    auto* type =
        new NoteExpressionType(id, title, title, unit, kRootUnitId, initial, 0.0, 1.0, 0, flags);
    type->setPhysicalUITypeID(moved_by);
    expressions_.addNoteExpressionType(type);
  };
  constexpr int32 kBipolar = NoteExpressionTypeInfo::kIsBipolar;
  express(kTuningTypeID, STR16("Tuning"), STR16("semitones"), 0.5, kBipolar, kPUIXMovement);
  express(kBrightnessTypeID, STR16("Brightness"), STR16(""), 0.5, kBipolar, kPUIYMovement);
  express(kPressureType, STR16("Pressure"), STR16(""), 0.0, 0, kPUIPressure);
  express(kVolumeTypeID, STR16("Volume"), STR16("dB"), 0.25, 0, kInvalidPUITypeID);

  for (std::uint32_t controller = 0; controller <= kWheel; ++controller) {
    if (!is_read(controller)) continue;
    const std::string title = controller == kPressure ? "MIDI pressure"
                              : controller == kWheel  ? "MIDI pitch wheel"
                                                      : "MIDI " + std::to_string(controller);
    parameters.addParameter(wide(title).c_str(), nullptr, 0, controller == kWheel ? 0.5 : 0.0,
                            ParameterInfo::kNoFlags, static_cast<int32>(kMidiId + controller));
  }
  return kResultOk;
}

// Names the programs after the timbres of a preset.
void Controller::name_timbres(const std::string& name) {
  timbres_.clear();
  const auto found = std::ranges::find(presets_, name);
  if (found != presets_.end()) {
    const Preset preset(audiogen_open(folders_[found - presets_.begin()].c_str()));
    for (std::size_t i = 0; preset && i < audiogen_preset_n_timbres(preset.get()); ++i) {
      timbres_.emplace_back(audiogen_preset_timbre(preset.get(), i));
    }
  }
  for (int i = 0; i < kMostTimbres; ++i) {
    const auto index = static_cast<std::size_t>(i);
    String128 text = {};
    const std::u16string title = wide(index < timbres_.size() ? timbres_[index] : "-");
    std::ranges::copy(title, text);
    setProgramName(kTimbreId, i + 1, text);
  }
  notifyProgramListChange(kTimbreId, kAllProgramInvalid);
}

tresult PLUGIN_API Controller::setParamNormalized(ParamID id, ParamValue value) {
  const tresult result = EditControllerEx1::setParamNormalized(id, value);
  if (id == kLatencyId && componentHandler) componentHandler->restartComponent(kLatencyChanged);
  if (id == kPresetId && result == kResultTrue) {
    const int last = static_cast<int>(presets_.size());
    const int index = std::min(last, static_cast<int>(value * (last + 1)));
    if (index > 0) name_timbres(presets_[static_cast<std::size_t>(index - 1)]);
  }
  for (View* view : views_) view->show_parameter(id, value);
  return result;
}

IPlugView* PLUGIN_API Controller::createView(FIDString name) {
  if (std::string_view(name) != ViewType::kEditor || !View::is_installed()) return nullptr;
  return new View(*this);
}

void Controller::editorAttached(EditorView* view) { views_.push_back(static_cast<View*>(view)); }
void Controller::editorRemoved(EditorView* view) { std::erase(views_, static_cast<View*>(view)); }

std::string Controller::preset() {
  const auto last = static_cast<double>(presets_.size());
  const auto index =
      static_cast<std::size_t>(std::min(last, getParamNormalized(kPresetId) * (last + 1.0)));
  if (index > 0) return presets_[index - 1];
  const bool has_first = std::ranges::find(presets_, kFirstPreset) != presets_.end();
  return has_first || presets_.empty() ? kFirstPreset : presets_.front();
}

double Controller::value_of_preset(const std::string& name) const {
  const auto found = std::ranges::find(presets_, name);
  if (found == presets_.end()) return 0.0;
  return choice(static_cast<std::size_t>(found - presets_.begin()) + 1, presets_.size());
}

void Controller::send_note(int pitch, float velocity) {
  const IPtr<IMessage> message = owned(allocateMessage());
  if (!message) return;
  message->setMessageID(kNoteMessage);
  message->getAttributes()->setInt(kNotePitch, pitch);
  message->getAttributes()->setFloat(kNoteVelocity, velocity);
  sendMessage(message);
}

void Controller::ask_keys() {
  const IPtr<IMessage> message = owned(allocateMessage());
  if (!message) return;
  message->setMessageID(kKeysMessage);
  sendMessage(message);
}

tresult PLUGIN_API Controller::notify(IMessage* message) {
  if (!message || std::string_view(message->getMessageID()) != kKeysMessage) {
    return EditControllerEx1::notify(message);
  }
  int64 low = 0, high = 0;
  IAttributeList* attributes = message->getAttributes();
  if (attributes->getInt(kLowKeys, low) != kResultOk ||
      attributes->getInt(kHighKeys, high) != kResultOk) {
    return kInvalidArgument;
  }
  for (View* view : views_) {
    view->show_keys(static_cast<std::uint64_t>(low), static_cast<std::uint64_t>(high));
  }
  return kResultOk;
}

tresult PLUGIN_API Controller::setComponentState(IBStream* stream) {
  if (!stream) return kInvalidArgument;
  const State state(audiogen_state_read(read_stream, stream));
  if (!state) return kResultFalse;
  for (std::size_t i = 0; i < audiogen_n_parameters(); ++i) {
    const audiogen_parameter& row = *audiogen_parameter_info(i);
    float value = row.initial;
    audiogen_state_parameter(state.get(), row.name, &value);
    const ParamID id = id_of(row.name);
    setParamNormalized(id, plainParamToNormalized(id, value));
  }
  const std::string name = audiogen_state_preset(state.get());
  const auto found = std::ranges::find(presets_, name);
  const auto index = static_cast<std::size_t>(found - presets_.begin());
  setParamNormalized(kPresetId, found == presets_.end() ? 0.0 : choice(index + 1, presets_.size()));
  const auto timbre = std::ranges::find(timbres_, audiogen_state_timbre(state.get()));
  const auto number = static_cast<std::size_t>(timbre - timbres_.begin());
  setParamNormalized(kTimbreId, timbre == timbres_.end() ? 0.0 : choice(number + 1, kMostTimbres));
  return kResultOk;
}

tresult PLUGIN_API Controller::getMidiControllerAssignment(int32 bus, int16, CtrlNumber controller,
                                                           ParamID& id) {
  if (bus != 0 || controller < 0 || !is_read(static_cast<std::uint32_t>(controller))) {
    return kResultFalse;
  }
  id = kMidiId + static_cast<std::uint32_t>(controller);
  return kResultTrue;
}

int32 PLUGIN_API Controller::getNoteExpressionCount(int32 bus, int16) {
  return bus == 0 ? expressions_.getNoteExpressionCount() : 0;
}

tresult PLUGIN_API Controller::getNoteExpressionInfo(int32 bus, int16, int32 index,
                                                     NoteExpressionTypeInfo& info) {
  return bus == 0 ? expressions_.getNoteExpressionInfo(index, info) : kResultFalse;
}

tresult PLUGIN_API Controller::getNoteExpressionStringByValue(int32, int16, NoteExpressionTypeID id,
                                                              NoteExpressionValue value,
                                                              String128 text) {
  return expressions_.getNoteExpressionStringByValue(id, value, text);
}

tresult PLUGIN_API Controller::getNoteExpressionValueByString(int32, int16, NoteExpressionTypeID id,
                                                              const TChar* text,
                                                              NoteExpressionValue& value) {
  return expressions_.getNoteExpressionValueByString(id, text, value);
}

tresult PLUGIN_API Controller::getPhysicalUIMapping(int32 bus, int16, PhysicalUIMapList& list) {
  if (bus != 0) return kResultFalse;
  for (uint32 i = 0; i < list.count; ++i) {
    NoteExpressionTypeID& type = list.map[i].noteExpressionTypeID;
    if (expressions_.getMappedNoteExpression(list.map[i].physicalUITypeID, type) != kResultTrue) {
      type = kInvalidTypeID;
    }
  }
  return kResultTrue;
}

}  // namespace audiogen::plugin::vst3

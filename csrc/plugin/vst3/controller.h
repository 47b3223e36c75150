// The part of the VST3 plug-in that describes its parameters to the host.
#pragma once

#include <pluginterfaces/vst/ivsteditcontroller.h>
#include <pluginterfaces/vst/ivstnoteexpression.h>
#include <pluginterfaces/vst/ivstphysicalui.h>
#include <public.sdk/source/vst/vsteditcontroller.h>
#include <public.sdk/source/vst/vstnoteexpressiontypes.h>

#include <string>
#include <vector>

#include "plugin/common/instance.h"

namespace audiogen::plugin::vst3 {

extern const Steinberg::FUID kControllerId;

class View;

class Controller final : public Steinberg::Vst::EditControllerEx1,
                         public Steinberg::Vst::IMidiMapping,
                         public Steinberg::Vst::INoteExpressionController,
                         public Steinberg::Vst::INoteExpressionPhysicalUIMapping {
 public:
  static Steinberg::FUnknown* create(void*) {
    return static_cast<Steinberg::Vst::IEditController*>(new Controller);
  }

  Steinberg::tresult PLUGIN_API initialize(Steinberg::FUnknown* context) override;
  Steinberg::tresult PLUGIN_API setComponentState(Steinberg::IBStream* stream) override;
  Steinberg::tresult PLUGIN_API setParamNormalized(Steinberg::Vst::ParamID id,
                                                   Steinberg::Vst::ParamValue value) override;
  // Null if the bundle has no editor: hosts then show their own for the parameters.
  Steinberg::IPlugView* PLUGIN_API createView(Steinberg::FIDString name) override;
  void editorAttached(Steinberg::Vst::EditorView* view) override;
  void editorRemoved(Steinberg::Vst::EditorView* view) override;

  // Name of the preset that the parameter selects, and the parameter's value for a name, or 0.
  std::string preset();
  double value_of_preset(const std::string& name) const;
  // Plays a note by sending a message to the processor.
  void send_note(int pitch, float velocity);
  // Asks the processor for the keys that are held, which the views then show.
  void ask_keys();
  Steinberg::tresult PLUGIN_API notify(Steinberg::Vst::IMessage* message) override;

  Steinberg::tresult PLUGIN_API getMidiControllerAssignment(Steinberg::int32 bus,
                                                            Steinberg::int16 channel,
                                                            Steinberg::Vst::CtrlNumber controller,
                                                            Steinberg::Vst::ParamID& id) override;

  Steinberg::int32 PLUGIN_API getNoteExpressionCount(Steinberg::int32 bus,
                                                     Steinberg::int16 channel) override;
  Steinberg::tresult PLUGIN_API
  getNoteExpressionInfo(Steinberg::int32 bus, Steinberg::int16 channel, Steinberg::int32 index,
                        Steinberg::Vst::NoteExpressionTypeInfo& info) override;
  Steinberg::tresult PLUGIN_API getNoteExpressionStringByValue(
      Steinberg::int32 bus, Steinberg::int16 channel, Steinberg::Vst::NoteExpressionTypeID id,
      Steinberg::Vst::NoteExpressionValue value, Steinberg::Vst::String128 text) override;
  Steinberg::tresult PLUGIN_API getNoteExpressionValueByString(
      Steinberg::int32 bus, Steinberg::int16 channel, Steinberg::Vst::NoteExpressionTypeID id,
      const Steinberg::Vst::TChar* text, Steinberg::Vst::NoteExpressionValue& value) override;
  Steinberg::tresult PLUGIN_API
  getPhysicalUIMapping(Steinberg::int32 bus, Steinberg::int16 channel,
                       Steinberg::Vst::PhysicalUIMapList& list) override;

  OBJ_METHODS(Controller, Steinberg::Vst::EditControllerEx1)
  DEFINE_INTERFACES
  DEF_INTERFACE(IMidiMapping)
  DEF_INTERFACE(INoteExpressionController)
  DEF_INTERFACE(INoteExpressionPhysicalUIMapping)
  END_DEFINE_INTERFACES(Steinberg::Vst::EditControllerEx1)
  REFCOUNT_METHODS(Steinberg::Vst::EditControllerEx1)

 private:
  void name_timbres(const std::string& preset);
  double choice(std::size_t index, std::size_t last) const {
    return last == 0 ? 0.0 : static_cast<double>(index) / static_cast<double>(last);
  }

  std::vector<std::string> presets_, folders_;
  std::vector<std::string> timbres_;
  std::vector<View*> views_;  // the open ones
  Steinberg::Vst::NoteExpressionTypeContainer expressions_;
  Steinberg::Vst::ProgramList* programs_ = nullptr;  // the base class owns it
};

}  // namespace audiogen::plugin::vst3

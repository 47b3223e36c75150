// The part of the VST3 plug-in that describes its parameters to the host.
#pragma once

#include <pluginterfaces/vst/ivsteditcontroller.h>
#include <public.sdk/source/vst/vsteditcontroller.h>

#include <string>
#include <vector>

#include "plugin/common/instance.h"

namespace audiogen::plugin::vst3 {

extern const Steinberg::FUID kControllerId;

// There is no editor: hosts show their own for the parameters.
class Controller final : public Steinberg::Vst::EditControllerEx1,
                         public Steinberg::Vst::IMidiMapping {
 public:
  static Steinberg::FUnknown* create(void*) {
    return static_cast<Steinberg::Vst::IEditController*>(new Controller);
  }

  Steinberg::tresult PLUGIN_API initialize(Steinberg::FUnknown* context) override;
  Steinberg::tresult PLUGIN_API setComponentState(Steinberg::IBStream* stream) override;
  Steinberg::tresult PLUGIN_API setParamNormalized(Steinberg::Vst::ParamID id,
                                                   Steinberg::Vst::ParamValue value) override;
  Steinberg::tresult PLUGIN_API getMidiControllerAssignment(Steinberg::int32 bus,
                                                            Steinberg::int16 channel,
                                                            Steinberg::Vst::CtrlNumber controller,
                                                            Steinberg::Vst::ParamID& id) override;

  OBJ_METHODS(Controller, Steinberg::Vst::EditControllerEx1)
  DEFINE_INTERFACES
  DEF_INTERFACE(IMidiMapping)
  END_DEFINE_INTERFACES(Steinberg::Vst::EditControllerEx1)
  REFCOUNT_METHODS(Steinberg::Vst::EditControllerEx1)

 private:
  void name_timbres(const std::string& preset);
  double choice(std::size_t index, std::size_t last) const {
    return last == 0 ? 0.0 : static_cast<double>(index) / static_cast<double>(last);
  }

  std::vector<std::string> presets_, folders_;
  std::vector<std::string> timbres_;
  Steinberg::Vst::ProgramList* programs_ = nullptr;  // the base class owns it
};

}  // namespace audiogen::plugin::vst3

// The window of the VST3 plug-in: loads the editor's library and connects it to the controller.
#pragma once

#include <pluginterfaces/gui/iplugview.h>
#include <pluginterfaces/gui/iplugviewcontentscalesupport.h>
#include <public.sdk/source/vst/vsteditcontroller.h>

#include <cstdint>
#include <memory>
#include <string>

#include "plugin/editor/editor.h"

namespace audiogen::plugin::vst3 {

class Controller;

class View final : public Steinberg::Vst::EditorView,
                   public Steinberg::IPlugViewContentScaleSupport,
                   public Steinberg::Linux::ITimerHandler,
                   public editor::Receiver {
 public:
  // Whether the bundle has the editor's library.
  static bool is_installed();

  explicit View(Controller& controller);

  // Hosts should call `removed` first, but some don't.
  ~View() override;

  void show_keys(std::uint64_t low, std::uint64_t high);
  void show_parameter(Steinberg::Vst::ParamID id, Steinberg::Vst::ParamValue value);

  Steinberg::tresult PLUGIN_API isPlatformTypeSupported(Steinberg::FIDString type) override;
  Steinberg::tresult PLUGIN_API attached(void* parent, Steinberg::FIDString type) override;
  Steinberg::tresult PLUGIN_API removed() override;
  Steinberg::tresult PLUGIN_API onSize(Steinberg::ViewRect* size) override;
  Steinberg::tresult PLUGIN_API canResize() override { return Steinberg::kResultTrue; }
  Steinberg::tresult PLUGIN_API checkSizeConstraint(Steinberg::ViewRect* size) override;
  Steinberg::tresult PLUGIN_API setContentScaleFactor(ScaleFactor factor) override;
  void PLUGIN_API onTimer() override;

  void begin(std::size_t parameter) override;
  void set(std::size_t parameter, float value) override;
  void end(std::size_t parameter) override;
  void choose_preset(const std::string& name) override;
  void choose_timbre(int index) override;
  void note_on(int pitch, float velocity) override;
  void note_off(int pitch) override;

  DEFINE_INTERFACES
  DEF_INTERFACE(IPlugViewContentScaleSupport)
  DEF_INTERFACE(ITimerHandler)
  END_DEFINE_INTERFACES(Steinberg::Vst::EditorView)
  REFCOUNT_METHODS(Steinberg::Vst::EditorView)

 private:
  struct Library {  // closed after the editor
    ~Library();
    void* handle = nullptr;
  };

  void set_normalized(Steinberg::Vst::ParamID id, double value);

  Controller& controller_;
  double scale_ = 0.0;  // 0: that of the display
  Library library_;
  std::unique_ptr<editor::Editor> editor_;
};

}  // namespace audiogen::plugin::vst3

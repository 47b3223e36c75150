// The host's side of the window: embedding, timer, gestures on parameters.
#include "plugin/vst3/view.h"

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>

#include "capi/audiogen.h"
#include "plugin/common/own_folders.h"
#include "plugin/vst3/controller.h"
#include "plugin/vst3/parameters.h"

namespace audiogen::plugin::vst3 {

using namespace Steinberg;
using namespace Steinberg::Vst;

static constexpr Linux::TimerInterval kInterval = 33;  // ms
static constexpr double kLeastScale = 0.5;

// The presets of the bundle, and the library beside the plug-in.
static std::string presets_folder() { return own_folders().at(1); }
static std::filesystem::path library_path() {
  return std::filesystem::path(own_folders().at(0)).parent_path() / "audiogen_editor.so";
}

bool View::is_installed() {
  std::error_code error;
  return !own_folders().empty() && std::filesystem::exists(library_path(), error);
}

View::Library::~Library() {
  if (handle) dlclose(handle);
}

View::View(Controller& controller) : EditorView(&controller), controller_(controller) {
  rect = ViewRect(0, 0, editor::kUsualWidth, editor::kUsualHeight);
}

View::~View() {
  if (isAttached()) removed();
}

tresult PLUGIN_API View::isPlatformTypeSupported(FIDString type) {
  return std::strcmp(type, kPlatformTypeX11EmbedWindowID) == 0 ? kResultTrue : kResultFalse;
}

tresult PLUGIN_API View::attached(void* parent, FIDString type) {
  if (isPlatformTypeSupported(type) != kResultTrue || !plugFrame || isAttached()) {
    return kResultFalse;
  }
  const FUnknownPtr<Linux::IRunLoop> loop(plugFrame);
  if (!loop) return kResultFalse;
  if (!library_.handle) library_.handle = dlopen(library_path().c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library_.handle) return kResultFalse;
  const auto open =
      reinterpret_cast<editor::OpenEditor*>(dlsym(library_.handle, editor::kOpenEditor));
  if (!open) return kResultFalse;
  editor_.reset(open(presets_folder().c_str(), this,
                     static_cast<unsigned long>(reinterpret_cast<std::uintptr_t>(parent)), scale_));
  if (!editor_) return kResultFalse;
  if (editor_->width() != rect.getWidth() || editor_->height() != rect.getHeight()) {
    rect = ViewRect(0, 0, editor_->width(), editor_->height());
    plugFrame->resizeView(this, &rect);
  }
  editor_->show_preset(controller_.preset());
  for (const ParamID id : {kTimbreId, kMissingId}) {
    show_parameter(id, controller_.getParamNormalized(id));
  }
  for (std::size_t i = 0; i < audiogen_n_parameters(); ++i) {
    const ParamID id = id_of(audiogen_parameter_info(i)->name);
    show_parameter(id, controller_.getParamNormalized(id));
  }
  loop->registerTimer(this, kInterval);
  return EditorView::attached(parent, type);
}

tresult PLUGIN_API View::removed() {
  if (!isAttached()) return kResultFalse;
  if (const FUnknownPtr<Linux::IRunLoop> loop(plugFrame); loop) loop->unregisterTimer(this);
  editor_.reset();
  return EditorView::removed();
}

tresult PLUGIN_API View::onSize(ViewRect* size) {
  if (!size) return kInvalidArgument;
  if (editor_) editor_->resize(size->getWidth(), size->getHeight());
  return EditorView::onSize(size);
}

tresult PLUGIN_API View::checkSizeConstraint(ViewRect* size) {
  if (!size) return kInvalidArgument;
  const auto least = [](int usual) { return static_cast<int32>(std::lround(kLeastScale * usual)); };
  size->right = std::max(size->right, size->left + least(editor::kUsualWidth));
  size->bottom = std::max(size->bottom, size->top + least(editor::kUsualHeight));
  return kResultTrue;
}

// Hosts call this before they attach the view.
tresult PLUGIN_API View::setContentScaleFactor(ScaleFactor factor) {
  if (!(factor > 0.0f)) return kInvalidArgument;
  scale_ = factor;
  if (!editor_) {
    rect = ViewRect(0, 0, static_cast<int32>(std::lround(editor::kUsualWidth * scale_)),
                    static_cast<int32>(std::lround(editor::kUsualHeight * scale_)));
  }
  return kResultTrue;
}

void PLUGIN_API View::onTimer() {
  if (!editor_) return;
  controller_.ask_keys();
  editor_->idle();
}

void View::show_keys(std::uint64_t low, std::uint64_t high) {
  if (editor_) editor_->show_keys(low, high);
}

void View::show_parameter(ParamID id, ParamValue value) {
  if (!editor_) return;
  if (id == kPresetId) {
    editor_->show_preset(controller_.preset());
  } else if (id == kTimbreId) {
    const int index = std::min(kMostTimbres, static_cast<int>(value * (kMostTimbres + 1)));
    editor_->show_timbre(index - 1);
  } else if (id == kMissingId) {
    editor_->show_missing(value > 0.5);
  } else if (id == kLevelLeftId || id == kLevelRightId) {
    editor_->show_level(id - kLevelLeftId, static_cast<float>(value));
  } else if (id >= kFirstTableId) {
    for (std::size_t i = 0; i < audiogen_n_parameters(); ++i) {
      if (id_of(audiogen_parameter_info(i)->name) != id) continue;
      editor_->show_parameter(i, static_cast<float>(controller_.normalizedParamToPlain(id, value)));
    }
  }
}

// From the editor.

void View::begin(std::size_t parameter) {
  controller_.beginEdit(id_of(audiogen_parameter_info(parameter)->name));
}

void View::end(std::size_t parameter) {
  controller_.endEdit(id_of(audiogen_parameter_info(parameter)->name));
}

void View::set(std::size_t parameter, float value) {
  const ParamID id = id_of(audiogen_parameter_info(parameter)->name);
  const double normalized = controller_.plainParamToNormalized(id, value);
  controller_.setParamNormalized(id, normalized);
  controller_.performEdit(id, normalized);
}

void View::set_normalized(ParamID id, double value) {
  controller_.beginEdit(id);
  controller_.setParamNormalized(id, value);
  controller_.performEdit(id, value);
  controller_.endEdit(id);
}

void View::choose_preset(const std::string& name) {
  if (const double value = controller_.value_of_preset(name); value > 0.0) {
    set_normalized(kPresetId, value);
  }
}

void View::choose_timbre(int index) {
  set_normalized(kTimbreId, static_cast<double>(index + 1) / kMostTimbres);
}

void View::note_on(int pitch, float velocity) { controller_.send_note(pitch, velocity); }
void View::note_off(int pitch) { controller_.send_note(pitch, 0.0f); }

}  // namespace audiogen::plugin::vst3

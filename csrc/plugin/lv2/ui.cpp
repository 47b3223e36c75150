// The window of the LV2 plug-in: the editor in a host's X11 window, or in its own.
#include <lv2/atom/atom.h>
#include <lv2/atom/forge.h>
#include <lv2/atom/util.h>
#include <lv2/core/lv2.h>
#include <lv2/midi/midi.h>
#include <lv2/options/options.h>
#include <lv2/patch/patch.h>
#include <lv2/ui/ui.h>
#include <lv2/urid/urid.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "plugin/editor/editor.h"
#include "plugin/lv2/ports.h"

namespace audiogen::plugin::lv2 {
namespace {

// Features that the host offers.
struct Features {
  explicit Features(const LV2_Feature* const* features) {
    for (; features && *features; ++features) {
      const std::string_view uri = (*features)->URI;
      void* data = (*features)->data;
      if (uri == LV2_URID__map) map = static_cast<LV2_URID_Map*>(data);
      if (uri == LV2_UI__parent) parent = reinterpret_cast<std::uintptr_t>(data);
      if (uri == LV2_UI__resize) resize = static_cast<LV2UI_Resize*>(data);
      if (uri == LV2_UI__touch) touch = static_cast<LV2UI_Touch*>(data);
      if (uri == LV2_OPTIONS__options) options = static_cast<LV2_Options_Option*>(data);
    }
  }

  double scale() const {
    if (!map) return 0.0;
    const LV2_URID key = map->map(map->handle, LV2_UI__scaleFactor);
    const LV2_URID number = map->map(map->handle, LV2_ATOM__Float);
    for (const LV2_Options_Option* option = options; option && option->key != 0; ++option) {
      if (option->key == key && option->type == number && option->value) {
        return static_cast<double>(*static_cast<const float*>(option->value));
      }
    }
    return 0.0;
  }

  LV2_URID_Map* map = nullptr;
  LV2UI_Resize* resize = nullptr;
  LV2UI_Touch* touch = nullptr;
  const LV2_Options_Option* options = nullptr;
  std::uintptr_t parent = 0;
};

class Ui final : public editor::Receiver {
 public:
  Ui(const char* bundle, LV2UI_Write_Function write, LV2UI_Controller controller,
     const Features& features)
      : write_(write),
        controller_(controller),
        touch_(features.touch),
        editor_(editor::open_editor({std::string(bundle) + "/presets"}, *this, features.parent,
                                    features.scale())) {
    LV2_URID_Map& map = *features.map;
    lv2_atom_forge_init(&forge_, &map);
    midi_ = map.map(map.handle, LV2_MIDI__MidiEvent);
    transfer_ = map.map(map.handle, LV2_ATOM__eventTransfer);
    patch_get_ = map.map(map.handle, LV2_PATCH__Get);
    patch_set_ = map.map(map.handle, LV2_PATCH__Set);
    patch_property_ = map.map(map.handle, LV2_PATCH__property);
    patch_value_ = map.map(map.handle, LV2_PATCH__value);
    preset_ = map.map(map.handle, kPresetUri);
    missing_ = map.map(map.handle, kMissingUri);
    playing_ = map.map(map.handle, kPlayingUri);
    keys_ = map.map(map.handle, kKeysUri);
    if (features.resize) {
      features.resize->ui_resize(features.resize->handle, editor_->width(), editor_->height());
    }
    ask_preset();
  }

  LV2UI_Widget widget() const {
    return reinterpret_cast<LV2UI_Widget>(static_cast<std::uintptr_t>(editor_->window()));
  }
  int idle() { return editor_->idle() ? 0 : 1; }
  void show(bool is_visible) { editor_->show(is_visible); }
  void resize(int width, int height) { editor_->resize(width, height); }

  void port_event(std::uint32_t port, std::uint32_t size, std::uint32_t format,
                  const void* buffer) {
    if (format == 0 && size == sizeof(float)) {
      const float value = *static_cast<const float*>(buffer);
      if (port >= kFirstParameter) editor_->show_parameter(port - kFirstParameter, value);
      if (port == kTimbre) {
        port_timbre_ = static_cast<int>(std::lround(value));
        editor_->show_timbre(port_timbre_);
      }
      if (port == kLevelLeft) editor_->show_level(0, value);
      if (port == kLevelRight) editor_->show_level(1, value);
    } else if (format == transfer_ && port == kNotify) {
      const auto* atom = static_cast<const LV2_Atom*>(buffer);
      if (lv2_atom_forge_is_object_type(&forge_, atom->type)) {
        take_message(*reinterpret_cast<const LV2_Atom_Object*>(atom));
      }
    }
  }

  void begin(std::size_t parameter) override { touch(parameter, true); }
  void end(std::size_t parameter) override { touch(parameter, false); }
  void set(std::size_t parameter, float value) override {
    write_(controller_, static_cast<std::uint32_t>(kFirstParameter + parameter), sizeof(value), 0,
           &value);
  }

  void choose_preset(const std::string& name) override {
    send_property(preset_, [&] {
      lv2_atom_forge_string(&forge_, name.c_str(), static_cast<std::uint32_t>(name.size()));
    });
  }

  // Hosts and the plug-in ignore a value that the port has already.
  void choose_timbre(int index) override {
    const auto value = static_cast<float>(index);
    if (index == port_timbre_) {
      send_property(playing_, [&] { lv2_atom_forge_int(&forge_, index); });
    }
    port_timbre_ = index;
    write_(controller_, kTimbre, sizeof(value), 0, &value);
  }

  void note_on(int pitch, float velocity) override {
    const auto seven = std::clamp<long>(std::lround(127.0f * velocity), 1, 127);
    send_midi(0x90, pitch, static_cast<std::uint8_t>(seven));
  }
  void note_off(int pitch) override { send_midi(0x80, pitch, 64); }

 private:
  void touch(std::size_t parameter, bool is_grabbed) {
    if (!touch_) return;
    touch_->touch(touch_->handle, static_cast<std::uint32_t>(kFirstParameter + parameter),
                  is_grabbed);
  }

  void start_message() {
    lv2_atom_forge_set_buffer(&forge_, reinterpret_cast<std::uint8_t*>(message_), sizeof(message_));
  }

  void send() {
    const auto* atom = reinterpret_cast<const LV2_Atom*>(message_);
    write_(controller_, kMidiIn, lv2_atom_total_size(atom), transfer_, atom);
  }

  // A patch:Set whose value `write_value` writes.
  template <class WriteValue>
  void send_property(LV2_URID property, WriteValue write_value) {
    LV2_Atom_Forge_Frame frame;
    start_message();
    lv2_atom_forge_object(&forge_, &frame, 0, patch_set_);
    lv2_atom_forge_key(&forge_, patch_property_);
    lv2_atom_forge_urid(&forge_, property);
    lv2_atom_forge_key(&forge_, patch_value_);
    write_value();
    lv2_atom_forge_pop(&forge_, &frame);
    send();
  }

  void send_midi(std::uint8_t status, int pitch, std::uint8_t velocity) {
    const std::uint8_t bytes[] = {status, static_cast<std::uint8_t>(pitch), velocity};
    start_message();
    lv2_atom_forge_atom(&forge_, sizeof(bytes), midi_);
    lv2_atom_forge_write(&forge_, bytes, sizeof(bytes));
    send();
  }

  void ask_preset() {
    LV2_Atom_Forge_Frame frame;
    start_message();
    lv2_atom_forge_object(&forge_, &frame, 0, patch_get_);
    lv2_atom_forge_key(&forge_, patch_property_);
    lv2_atom_forge_urid(&forge_, preset_);
    lv2_atom_forge_pop(&forge_, &frame);
    send();
  }

  // The plug-in sends its preset's name, whether the preset is missing, its timbre and its keys.
  void take_message(const LV2_Atom_Object& message) {
    const LV2_Atom* property = nullptr;
    const LV2_Atom* value = nullptr;
    lv2_atom_object_get(&message, patch_property_, &property, patch_value_, &value, 0);
    if (message.body.otype != patch_set_ || !property || property->type != forge_.URID || !value) {
      return;
    }
    const LV2_URID key = reinterpret_cast<const LV2_Atom_URID*>(property)->body;
    if (key == preset_ && value->type == forge_.String) {
      const auto* text = static_cast<const char*>(LV2_ATOM_BODY_CONST(value));
      editor_->show_preset(std::string(text, strnlen(text, value->size)));
    } else if (key == missing_ && value->type == forge_.Bool) {
      editor_->show_missing(reinterpret_cast<const LV2_Atom_Bool*>(value)->body != 0);
    } else if (key == playing_ && value->type == forge_.Int) {
      editor_->show_timbre(reinterpret_cast<const LV2_Atom_Int*>(value)->body);
    } else if (key == keys_ && value->type == forge_.Vector) {
      const auto* vector = reinterpret_cast<const LV2_Atom_Vector*>(value);
      std::uint64_t words[2];
      if (vector->body.child_type != forge_.Long ||
          value->size != sizeof(vector->body) + sizeof(words)) {
        return;
      }
      std::memcpy(words, vector + 1, sizeof(words));
      editor_->show_keys(words[0], words[1]);
    }
  }

  LV2UI_Write_Function write_;
  LV2UI_Controller controller_;
  LV2UI_Touch* touch_;
  LV2_Atom_Forge forge_{};
  LV2_URID midi_ = 0, transfer_ = 0, patch_get_ = 0, patch_set_ = 0, patch_property_ = 0,
           patch_value_ = 0, preset_ = 0, missing_ = 0, playing_ = 0, keys_ = 0;
  int port_timbre_ = -1;             // value of the port, which program changes leave as it is
  std::uint64_t message_[128] = {};  // 1 kB, for the longest name
  std::unique_ptr<editor::Editor> editor_;
};

Ui& of(void* handle) { return *static_cast<Ui*>(handle); }

LV2UI_Handle instantiate(const LV2UI_Descriptor*, const char*, const char* bundle,
                         LV2UI_Write_Function write, LV2UI_Controller controller,
                         LV2UI_Widget* widget, const LV2_Feature* const* features) {
  const Features offered(features);
  if (!offered.map || !write) return nullptr;
  try {
    auto ui = std::make_unique<Ui>(bundle, write, controller, offered);
    if (widget) *widget = ui->widget();
    return ui.release();
  } catch (const std::exception&) {  // no display
    return nullptr;
  }
}

const void* extension_data(const char* uri) {
  static const LV2UI_Idle_Interface idle = {[](LV2UI_Handle handle) { return of(handle).idle(); }};
  static const LV2UI_Show_Interface show = {[](LV2UI_Handle handle) {
                                              of(handle).show(true);
                                              return 0;
                                            },
                                            [](LV2UI_Handle handle) {
                                              of(handle).show(false);
                                              return 0;
                                            }};
  static const LV2UI_Resize resize = {nullptr,
                                      [](LV2UI_Feature_Handle handle, int width, int height) {
                                        of(handle).resize(width, height);
                                        return 0;
                                      }};
  if (std::strcmp(uri, LV2_UI__idleInterface) == 0) return &idle;
  if (std::strcmp(uri, LV2_UI__showInterface) == 0) return &show;
  return std::strcmp(uri, LV2_UI__resize) == 0 ? &resize : nullptr;
}

const LV2UI_Descriptor kDescriptor = {
    kUiUri, instantiate, [](LV2UI_Handle handle) { delete &of(handle); },
    [](LV2UI_Handle handle, std::uint32_t port, std::uint32_t size, std::uint32_t format,
       const void* buffer) { of(handle).port_event(port, size, format, buffer); },
    extension_data};

}  // namespace
}  // namespace audiogen::plugin::lv2

LV2_SYMBOL_EXPORT const LV2UI_Descriptor* lv2ui_descriptor(std::uint32_t index) {
  return index == 0 ? &audiogen::plugin::lv2::kDescriptor : nullptr;
}

// The LV2 plug-in: ports, messages and state of an `Instance`.
#include <lv2/atom/atom.h>
#include <lv2/atom/forge.h>
#include <lv2/atom/util.h>
#include <lv2/buf-size/buf-size.h>
#include <lv2/core/lv2.h>
#include <lv2/log/log.h>
#include <lv2/log/logger.h>
#include <lv2/midi/midi.h>
#include <lv2/options/options.h>
#include <lv2/patch/patch.h>
#include <lv2/state/state.h>
#include <lv2/urid/urid.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/common/instance.h"
#include "plugin/common/own_folders.h"
#include "plugin/lv2/ports.h"

namespace audiogen::plugin::lv2 {
namespace {

constexpr std::uint32_t kUnknownBlock = 1024;  // samples, of a host that does not say

struct Urids {
  explicit Urids(LV2_URID_Map& map)
      : midi(map.map(map.handle, LV2_MIDI__MidiEvent)),
        string(map.map(map.handle, LV2_ATOM__String)),
        integer(map.map(map.handle, LV2_ATOM__Int)),
        patch_set(map.map(map.handle, LV2_PATCH__Set)),
        patch_get(map.map(map.handle, LV2_PATCH__Get)),
        patch_property(map.map(map.handle, LV2_PATCH__property)),
        patch_value(map.map(map.handle, LV2_PATCH__value)),
        nominal_block(map.map(map.handle, LV2_BUF_SIZE__nominalBlockLength)),
        max_block(map.map(map.handle, LV2_BUF_SIZE__maxBlockLength)),
        preset(map.map(map.handle, kPresetUri)),
        missing(map.map(map.handle, kMissingUri)),
        timbre(map.map(map.handle, kTimbreUri)),
        state(map.map(map.handle, kStateUri)),
        playing(map.map(map.handle, kPlayingUri)),
        keys(map.map(map.handle, kKeysUri)) {}

  LV2_URID midi, string, integer, patch_set, patch_get, patch_property, patch_value, nominal_block,
      max_block, preset, missing, timbre, state, playing, keys;
};

class Plugin {
 public:
  Plugin(double rate, LV2_URID_Map& map, LV2_Log_Log* log, const LV2_Options_Option* options)
      : urids_(map),
        rate_(static_cast<std::uint32_t>(std::lround(rate))),
        instance_(own_folders(), true),
        ports_(kFirstParameter + audiogen_n_parameters()),
        last_(audiogen_n_parameters()) {
    lv2_log_logger_init(&logger_, &map, log);
    lv2_atom_forge_init(&forge_, &map);
    for (std::size_t i = 0; i < last_.size(); ++i) last_[i] = audiogen_parameter_info(i)->initial;
    // Latency follows from the block: the usual length tells more than the longest possible one.
    std::uint32_t nominal = 0, longest = 0;
    for (; options && options->key != 0; ++options) {
      if (options->type != urids_.integer || !options->value) continue;
      const auto value = *static_cast<const std::int32_t*>(options->value);
      if (options->key == urids_.nominal_block) nominal = static_cast<std::uint32_t>(value);
      if (options->key == urids_.max_block) longest = static_cast<std::uint32_t>(value);
    }
    block_ = nominal > 0 ? nominal : longest > 0 ? std::min(longest, kUnknownBlock) : kUnknownBlock;
  }

  void connect(std::uint32_t port, void* data) {
    if (port < ports_.size()) ports_[port] = data;
  }

  void activate() {
    instance_.activate(rate_, block_);
    log_status();
  }

  void deactivate() { instance_.deactivate(); }

  void run(std::uint32_t n) noexcept {
    for (std::size_t i = 0; i < last_.size(); ++i) {
      const float* value = port<float>(kFirstParameter + i);
      if (value && *value != last_[i]) instance_.set_parameter(i, last_[i] = *value, 0);
    }
    if (const float* timbre = port<float>(kTimbre)) {
      const int index = static_cast<int>(std::lround(std::clamp(*timbre, -1.0f, 4095.0f)));
      if (index != last_timbre_) instance_.choose_timbre(last_timbre_ = index);
    }
    bool asked = false;
    if (const auto* events = port<LV2_Atom_Sequence>(kMidiIn)) {
      LV2_ATOM_SEQUENCE_FOREACH(events, event) {
        const auto offset = static_cast<std::uint32_t>(
            std::clamp<std::int64_t>(event->time.frames, 0, n > 0 ? n - 1 : 0));
        if (event->body.type == urids_.midi) {
          const auto* bytes = static_cast<const std::uint8_t*>(LV2_ATOM_BODY_CONST(&event->body));
          instance_.midi(bytes, event->body.size, offset);
        } else if (lv2_atom_forge_is_object_type(&forge_, event->body.type)) {
          asked |= take_message(reinterpret_cast<const LV2_Atom_Object&>(event->body));
        }
      }
    }
    float* const outputs[] = {port<float>(kLeft), port<float>(kRight)};
    const float* left = port<float>(kSideLeft);
    const float* right = port<float>(kSideRight);
    const float* const inputs[] = {left ? left : right, right ? right : left};
    const float* freewheel = port<float>(kFreewheel);
    instance_.process(outputs, n, inputs[0] ? inputs : nullptr, freewheel && *freewheel > 0.5f);
    if (float* latency = port<float>(kLatency)) *latency = static_cast<float>(instance_.latency());
    for (std::size_t c = 0; c < Instance::kChannels; ++c) {
      if (float* level = port<float>(kLevelLeft + c)) *level = instance_.level(c);
    }
    notify(asked);
  }

  LV2_State_Status save(LV2_State_Store_Function store, LV2_State_Handle handle) {
    std::string text;
    const auto append = [](void* to, const void* bytes, std::size_t size) {
      static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), size);
      return static_cast<std::int64_t>(size);
    };
    if (!instance_.write_state(append, &text)) return LV2_STATE_ERR_UNKNOWN;
    return store(handle, urids_.state, text.c_str(), text.size() + 1, urids_.string,
                 LV2_STATE_IS_POD | LV2_STATE_IS_PORTABLE);
  }

  LV2_State_Status restore(LV2_State_Retrieve_Function retrieve, LV2_State_Handle handle) {
    const auto text_of = [&](LV2_URID key) -> std::string {
      std::size_t size = 0;
      std::uint32_t type = 0, flags = 0;
      const void* value = retrieve(handle, key, &size, &type, &flags);
      if (!value || type != urids_.string) return "";
      const auto* text = static_cast<const char*>(value);
      return {text, strnlen(text, size)};
    };
    bool fine = true;
    if (std::string text = text_of(urids_.state); !text.empty()) {
      std::string_view left = text;
      const auto take = [](void* from, void* bytes, std::size_t size) {
        auto& left = *static_cast<std::string_view*>(from);
        size = left.copy(static_cast<char*>(bytes), size);
        left.remove_prefix(size);
        return static_cast<std::int64_t>(size);
      };
      fine = instance_.read_state(take, &left);
    } else if (const std::string preset = text_of(urids_.preset); !preset.empty()) {
      fine = instance_.open_preset(preset) && instance_.choose_timbre(text_of(urids_.timbre));
    } else {
      return LV2_STATE_ERR_NO_PROPERTY;
    }
    log_status();
    return fine ? LV2_STATE_SUCCESS : LV2_STATE_ERR_UNKNOWN;
  }

 private:
  template <class T>
  T* port(std::size_t index) const {
    return static_cast<T*>(ports_[index]);
  }

  void log_status() {
    const std::string message = instance_.status();
    if (!message.empty()) lv2_log_error(&logger_, "audiogen: %s\n", message.c_str());
  }

  // A patch:Set of the preset requests it, one of the timbre that plays chooses it; returns whether
  // the host asks for the preset's name.
  bool take_message(const LV2_Atom_Object& message) noexcept {
    const LV2_Atom* property = nullptr;
    const LV2_Atom* value = nullptr;
    lv2_atom_object_get(&message, urids_.patch_property, &property, urids_.patch_value, &value, 0);
    const LV2_URID key = property && property->type == forge_.URID
                             ? reinterpret_cast<const LV2_Atom_URID*>(property)->body
                             : 0;
    if (message.body.otype == urids_.patch_set && key == urids_.playing && value &&
        value->type == forge_.Int) {
      instance_.choose_timbre(reinterpret_cast<const LV2_Atom_Int*>(value)->body, true);
      return false;
    }
    const bool is_preset = key == urids_.preset;
    if (message.body.otype == urids_.patch_get) return is_preset || !property;
    if (message.body.otype != urids_.patch_set || !is_preset) return false;
    if (!value || value->type != urids_.string) return false;
    const auto* text = static_cast<const char*>(LV2_ATOM_BODY_CONST(value));
    const std::string_view name(text, strnlen(text, value->size));
    const std::vector<std::string>& names = instance_.presets();
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) instance_.request_preset(static_cast<int>(found - names.begin()));
    return found == names.end();  // the answer shows that it has not changed
  }

  // One message of the sequence that the forge writes; `write_value` writes the value.
  template <class WriteValue>
  void write_message(LV2_URID property, WriteValue write_value) noexcept {
    LV2_Atom_Forge_Frame object;
    lv2_atom_forge_frame_time(&forge_, 0);
    lv2_atom_forge_object(&forge_, &object, 0, urids_.patch_set);
    lv2_atom_forge_key(&forge_, urids_.patch_property);
    lv2_atom_forge_urid(&forge_, property);
    lv2_atom_forge_key(&forge_, urids_.patch_value);
    write_value();
    lv2_atom_forge_pop(&forge_, &object);
  }

  // Sends the host the name of the preset, whether it is missing, the timbre and the keys, when any
  // of them has changed.
  void notify(bool asked) noexcept {
    auto* sequence = port<LV2_Atom_Sequence>(kNotify);
    if (!sequence) return;
    const std::uint32_t capacity = sequence->atom.size;
    lv2_atom_forge_set_buffer(&forge_, reinterpret_cast<std::uint8_t*>(sequence), capacity);
    LV2_Atom_Forge_Frame all;
    lv2_atom_forge_sequence_head(&forge_, &all, 0);
    const int index = instance_.preset_index();
    constexpr std::uint32_t kMessageSize = 1024;  // for all messages, with the longest name
    const bool missing = instance_.missing();
    const int timbre = instance_.playing_timbre();
    const Instance::Keys keys = instance_.keys();
    if (capacity >= kMessageSize) {
      if (index >= 0 && (asked || index != notified_)) {
        notified_ = index;
        const std::string& name = instance_.presets()[static_cast<std::size_t>(index)];
        write_message(urids_.preset, [&] {
          lv2_atom_forge_string(&forge_, name.c_str(), static_cast<std::uint32_t>(name.size()));
        });
      }
      if (asked || missing != notified_missing_) {
        notified_missing_ = missing;
        write_message(urids_.missing, [&] { lv2_atom_forge_bool(&forge_, missing); });
      }
      if (asked || timbre != notified_timbre_) {
        notified_timbre_ = timbre;
        write_message(urids_.playing, [&] { lv2_atom_forge_int(&forge_, timbre); });
      }
      if (asked || keys != notified_keys_) {
        notified_keys_ = keys;
        write_message(urids_.keys, [&] {
          lv2_atom_forge_vector(&forge_, sizeof(keys[0]), forge_.Long, keys.size(), keys.data());
        });
      }
    }
    lv2_atom_forge_pop(&forge_, &all);
  }

  Urids urids_;
  LV2_Log_Logger logger_{};
  LV2_Atom_Forge forge_{};
  std::uint32_t rate_;
  std::uint32_t block_ = kUnknownBlock;
  Instance instance_;
  std::vector<void*> ports_;
  std::vector<float> last_;  // of the parameters' ports
  int last_timbre_ = Instance::kDefaultTimbre;
  int notified_ = -1;
  bool notified_missing_ = false;
  int notified_timbre_ = -1;
  Instance::Keys notified_keys_{};
};

LV2_Handle instantiate(const LV2_Descriptor*, double rate, const char*,
                       const LV2_Feature* const* features) {
  LV2_URID_Map* map = nullptr;
  LV2_Log_Log* log = nullptr;
  const LV2_Options_Option* options = nullptr;
  for (; features && *features; ++features) {
    const std::string_view uri = (*features)->URI;
    if (uri == LV2_URID__map) map = static_cast<LV2_URID_Map*>((*features)->data);
    if (uri == LV2_LOG__log) log = static_cast<LV2_Log_Log*>((*features)->data);
    if (uri == LV2_OPTIONS__options) {
      options = static_cast<const LV2_Options_Option*>((*features)->data);
    }
  }
  if (!map) return nullptr;
  try {
    return new Plugin(rate, *map, log, options);
  } catch (const std::exception&) {
    return nullptr;
  }
}

Plugin& of(LV2_Handle handle) { return *static_cast<Plugin*>(handle); }

const void* extension_data(const char* uri) {
  static const LV2_State_Interface state = {
      [](LV2_Handle handle, LV2_State_Store_Function store, LV2_State_Handle to, std::uint32_t,
         const LV2_Feature* const*) { return of(handle).save(store, to); },
      [](LV2_Handle handle, LV2_State_Retrieve_Function retrieve, LV2_State_Handle from,
         std::uint32_t, const LV2_Feature* const*) { return of(handle).restore(retrieve, from); }};
  return std::strcmp(uri, LV2_STATE__interface) == 0 ? &state : nullptr;
}

const LV2_Descriptor kDescriptor = {
    kUri,
    instantiate,
    [](LV2_Handle handle, std::uint32_t port, void* data) { of(handle).connect(port, data); },
    [](LV2_Handle handle) { of(handle).activate(); },
    [](LV2_Handle handle, std::uint32_t n) { of(handle).run(n); },
    [](LV2_Handle handle) { of(handle).deactivate(); },
    [](LV2_Handle handle) { delete &of(handle); },
    extension_data};

}  // namespace
}  // namespace audiogen::plugin::lv2

LV2_SYMBOL_EXPORT const LV2_Descriptor* lv2_descriptor(std::uint32_t index) {
  return index == 0 ? &audiogen::plugin::lv2::kDescriptor : nullptr;
}

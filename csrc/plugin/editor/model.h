// The editor without a display: its contents, and the mouse actions that change them.
//
//   Model model(table, receiver);
//   model.show_sound(sound);            // and show_parameter, show_timbre, ... for changes
//   model.resize(1060, 720);
//   model.press({300, 200}, time, false); model.move(...); model.release();
//   if (model.take_change()) paint(context, model);
//
// One thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "capi/audiogen.h"
#include "plugin/editor/layout.h"
#include "plugin/editor/receiver.h"
#include "plugin/editor/sound.h"

namespace audiogen::plugin::editor {

enum class What {
  kNothing,
  kMap,
  kMapSwitch,
  kKnob,  // index: of `Layout::knobs`
  kKey,   // index: of `Layout::keys`
  kPreset,
  kPresetPrevious,
  kPresetNext,
  kTimbre,
  kTimbrePrevious,
  kTimbreNext,
  kOctaveDown,
  kOctaveUp,
  kMenuItem,  // index: of the menu's items
  kOutsideMenu,
};

struct Target {
  What what = What::kNothing;
  std::size_t index = 0;
  bool operator==(const Target&) const = default;
};

// The open list of presets or timbres.
struct Menu {
  What of = What::kNothing;  // kPreset, kTimbre, or no menu
  std::vector<std::string> items;
  std::size_t chosen = 0;
  Rect box;
  std::size_t n_columns = 1, n_rows = 1;  // of the visible items
  std::size_t first_row = 0;
  std::size_t n_lines() const { return (items.size() + n_columns - 1) / n_columns; }
  // Place of an item; empty if it is scrolled away.
  Rect place_of(std::size_t index) const;
};

class Model {
 public:
  Model(std::vector<audiogen_parameter> table, Receiver& receiver);

  // --- From the plug-in and the window; these send nothing to the receiver ---

  void resize(float width, float height);
  void show_presets(std::vector<std::string> names);
  void show_sound(Sound sound);
  void show_parameter(std::size_t index, float value);
  void show_timbre(int index);  // -1: the preset's default
  // Keys that the host holds: bit k of a word is pitch k, or 64 + k.
  void show_keys(std::uint64_t low, std::uint64_t high);
  void show_level(std::size_t channel, float peak);
  void show_message(std::string text);
  // Lets the meter fall.
  void advance(double seconds);

  // --- Mouse; `fine` is the shift key ---

  void press(Point at, std::uint32_t time_ms, bool fine);
  void move(Point at, bool fine);
  void release();
  void wheel(Point at, int steps, bool fine);  // up is positive
  void leave();

  // Whether anything has changed since the last call.
  bool take_change();

  // --- Contents ---

  const Layout& layout() const { return layout_; }
  const Sound& sound() const { return sound_; }
  const Menu& menu() const { return menu_; }
  Target hovered() const { return hovered_; }
  bool is_dragged(const Target& target) const { return target == dragged_; }
  float value(std::size_t parameter) const { return values_[parameter]; }
  // Index of the timbre that was chosen, or of the preset's default.
  std::size_t timbre() const;
  bool map_is_on() const;
  // The point on the map, 0 .. 1: the parameters, or with the map off the chosen timbre.
  Point point() const;
  // Text on what the next note plays, such as "harp, 35 % koto".
  std::string timbre_text() const;
  // Help for the control under the mouse, or a message.
  std::string footer_text() const;
  bool has_message() const { return !message_.empty(); }
  // Whether the mouse or the host holds a key.
  bool is_held(int pitch) const {
    const auto k = static_cast<unsigned>(pitch);
    return pitch == held_pitch_ || (k < 128 && ((keys_[k / 64] >> (k % 64)) & 1u) != 0);
  }
  float level(std::size_t channel) const { return levels_[channel]; }
  Target target_at(Point at) const;

 private:
  void arrange();
  int index_of(const char* name) const;
  void set(std::size_t parameter, float value);
  void set_once(std::size_t parameter, float value);
  void choose_preset(std::size_t index);
  void choose_timbre(std::size_t index);
  void choose_next(What what, int step);
  void drag_map(Point at);
  void move_point(Point place);
  void play(Target key, Point at);
  void shift_octave(int octaves);
  void open_menu(What what);

  std::vector<audiogen_parameter> table_;
  Receiver& receiver_;
  int map_on_, map_x_, map_y_, morph_, morph_timbre_;  // rows of the table; -1: none
  std::vector<float> values_;
  std::vector<std::string> presets_;
  Sound sound_;
  std::vector<Section> sections_;
  Layout layout_;
  Menu menu_;
  std::string message_;
  std::array<float, 2> levels_{};
  int timbre_ = -1;
  int first_octave_ = 2;
  int held_pitch_ = -1;                  // of the mouse; -1: none
  std::array<std::uint64_t, 2> keys_{};  // of the host
  bool changed_ = true;

  Target hovered_, dragged_, pressed_;
  Point last_;             // of the mouse
  float position_ = 0.0f;  // of the dragged knob, not rounded
  std::uint32_t pressed_ms_ = 0;
};

}  // namespace audiogen::plugin::editor

// The knobs and switches of the editor, made from the table of parameters.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "capi/audiogen.h"
#include "plugin/editor/sound.h"

namespace audiogen::plugin::editor {

enum class Kind {
  kKnob,    // a range of numbers
  kCount,   // a range of whole numbers
  kSwitch,  // on from 0.5
  kTimbre,  // index of a timbre of the preset
};

struct Control {
  std::size_t parameter = 0;  // row of the table
  Kind kind = Kind::kKnob;
  std::string name;
  std::string unit;
  std::string help;
  float lowest = 0.0f, highest = 1.0f, initial = 0.0f;
  bool has_effect = true;  // on the current preset

  // Position of a value between the ends of the knob, 0 to 1, and the value of a position. Short
  // times get the larger part of the turn.
  float position_of(float value) const;
  float value_at(float position) const;
  // The smallest step of the position: 0 for continuous values.
  float step() const;
  // The value with its unit.
  std::string text_of(float value, const std::vector<Timbre>& timbres) const;
};

// Controls under one caption.
struct Section {
  std::string title;
  std::vector<Control> controls;
};

// A control for each row of the table, except the macros that the preset does not have and the
// rows that the timbre map shows. Rows that have no section of their own come last.
std::vector<Section> make_sections(const std::vector<audiogen_parameter>& table,
                                   const Sound& sound);

// "morph_timbre" becomes "Morph timbre".
std::string title_of(std::string name);

}  // namespace audiogen::plugin::editor

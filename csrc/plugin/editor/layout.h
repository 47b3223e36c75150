// Positions of all elements in a window of a given size.
#pragma once

#include <string>
#include <vector>

#include "plugin/editor/controls.h"
#include "plugin/editor/geometry.h"

namespace audiogen::plugin::editor {

// The smallest size; larger windows give more room to the map and the keyboard.
inline constexpr float kWidth = 1060.0f, kHeight = 720.0f;

struct KnobPlace {
  const Control* control = nullptr;
  Rect cell;  // with its texts
  Rect dial;
};

struct Caption {
  std::string text;
  Point start;  // of its baseline
};

struct Key {
  int pitch = 0;
  bool is_black = false;
  Rect place;
};

// A field with the name of the chosen item, between two arrows.
struct Chooser {
  Rect previous, field, next;
};

struct Layout {
  Rect window;
  Chooser preset, timbre;
  Rect meter;
  Rect map_card, map, map_switch;
  Rect legend;  // families of the map
  Rect knob_card;
  std::vector<KnobPlace> knobs;
  std::vector<Caption> captions;
  Rect keyboard_card, octave_down, octave_up;
  std::vector<Key> keys;  // white keys first, since black keys lie above them
  Rect footer;
};

// `sections` must outlive the result, which points to their controls. `first_octave` is the number
// of the lowest C, as in C4 for pitch 60.
Layout make_layout(float width, float height, const std::vector<Section>& sections,
                   int first_octave);

// Number of octaves that a keyboard of this width shows.
int n_octaves(float width);

}  // namespace audiogen::plugin::editor

// The description of a preset that the editor shows: timbres with positions, macros, pitch range.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capi/audiogen.h"
#include "plugin/editor/geometry.h"

namespace audiogen::plugin::editor {

struct Timbre {
  std::string name;
  std::string family;
  Point place;  // on the timbre map, 0 .. 1
};

struct Macro {
  std::string name;
  std::string help;
};

struct Sound {
  std::string preset;
  bool plays_notes = true;
  bool is_spectral = true;  // GANSynth; otherwise SampleRNN
  int lowest_pitch = 0, highest_pitch = 127;
  std::vector<Timbre> timbres;
  bool has_map = false;  // all timbres have a position
  int default_timbre = 0;
  std::vector<Macro> macros;
  std::vector<float> initial;  // of the parameters
};

Sound describe(const audiogen_preset* preset);

// The presets that the plug-in finds, by name.
class Catalogue {
 public:
  // `folders` are searched in addition to those of `audiogen_find_presets`.
  explicit Catalogue(const std::vector<std::string>& folders);
  const std::vector<std::string>& names() const { return names_; }
  // Empty if there is no such preset or it is damaged.
  std::optional<Sound> open(const std::string& name) const;

 private:
  std::vector<std::string> names_, folders_;
};

}  // namespace audiogen::plugin::editor

// Reads the description of a preset through the C interface.
#include "plugin/editor/sound.h"

#include <algorithm>

#include "plugin/common/instance.h"

namespace audiogen::plugin::editor {

Sound describe(const audiogen_preset* preset) {
  Sound sound;
  sound.preset = audiogen_preset_name(preset);
  sound.plays_notes = audiogen_preset_plays_notes(preset) != 0;
  sound.is_spectral = std::string(audiogen_preset_kind(preset)) == "gansynth";
  audiogen_preset_pitch_range(preset, &sound.lowest_pitch, &sound.highest_pitch);
  const std::size_t n = audiogen_preset_n_timbres(preset);
  sound.has_map = n > 0;
  for (std::size_t i = 0; i < n; ++i) {
    Timbre timbre{audiogen_preset_timbre(preset, i), audiogen_preset_family(preset, i), {}};
    if (audiogen_preset_place(preset, i, &timbre.place.x, &timbre.place.y) != 0) {
      sound.has_map = false;
    }
    sound.timbres.push_back(std::move(timbre));
  }
  sound.default_timbre = static_cast<int>(audiogen_preset_default_timbre(preset));
  for (std::size_t i = 0; i < audiogen_preset_n_macros(preset); ++i) {
    audiogen_macro macro;
    if (audiogen_preset_macro(preset, i, &macro) != 0) continue;
    std::string help = macro.help;
    if (*macro.effect) help += std::string(" Measured: ") + macro.effect + ".";
    sound.macros.push_back({macro.name, help});
  }
  for (std::size_t i = 0; i < audiogen_n_parameters(); ++i) {
    sound.initial.push_back(audiogen_preset_initial(preset, i));
  }
  return sound;
}

Catalogue::Catalogue(const std::vector<std::string>& folders) {
  std::vector<const char*> texts;
  for (const std::string& folder : folders) texts.push_back(folder.c_str());
  const PresetList list(audiogen_find_presets(texts.data(), texts.size()));
  for (std::size_t i = 0; list && i < audiogen_n_found(list.get()); ++i) {
    names_.emplace_back(audiogen_found_name(list.get(), i));
    folders_.emplace_back(audiogen_found_folder(list.get(), i));
  }
}

std::optional<Sound> Catalogue::open(const std::string& name) const {
  const auto found = std::ranges::find(names_, name);
  if (found == names_.end()) return std::nullopt;
  const Preset preset(audiogen_open(folders_[found - names_.begin()].c_str()));
  if (!preset) return std::nullopt;
  Sound sound = describe(preset.get());
  sound.preset = name;
  return sound;
}

}  // namespace audiogen::plugin::editor

// Chooses the control, section, scale and text of each row of the table.
#include "plugin/editor/controls.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace audiogen::plugin::editor {

static constexpr float kTimePower = 3.0f;
static constexpr std::string_view kMacroPrefix = "macro_";
// From this range up, numbers without a unit are shown as counts.
static constexpr float kLeastCount = 4.0f;

struct SectionRule {
  const char* title;
  std::array<std::string_view, 6> names;
};
// A row that is not listed here is in the last section.
static constexpr SectionRule kRules[] = {
    {"Play", {"bend", "bend_range", "sustain", "glide", "vibrato", "vibrato_rate"}},
    {"Shape", {"morph", "morph_timbre", "attack", "release", "tilt", "noise"}},
    {"Mix", {"volume", "expression", "pan", "spread", "reverb", "voices"}},
    {"Generate", {"variation", "temperature", "top_p", "listen", "monitor"}},
};
// Rows without a knob: those of the map, and the wheel, which a keyboard has.
static constexpr std::array<std::string_view, 4> kWithoutKnob = {"timbre_map", "timbre_x",
                                                                 "timbre_y", "pitch_wheel"};
static constexpr std::array<std::string_view, 2> kSwitches = {"sustain", "listen"};
// Rows that have no effect on presets of the other kind.
static constexpr std::array<std::string_view, 3> kOfSampleRNN = {"temperature", "top_p", "listen"};
static constexpr std::array<std::string_view, 4> kOfGANSynth = {"morph", "morph_timbre", "tilt",
                                                                "noise"};

template <std::size_t n>
static bool has(const std::array<std::string_view, n>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::string title_of(std::string name) {
  std::ranges::replace(name, '_', ' ');
  std::ranges::replace(name, '-', ' ');
  if (!name.empty() && name[0] >= 'a' && name[0] <= 'z') {
    name[0] = static_cast<char>(name[0] - 'a' + 'A');
  }
  return name;
}

static Control make_control(const audiogen_parameter& row, std::size_t index, const Sound& sound) {
  Control control;
  const std::string_view name = row.name;
  control.parameter = index;
  control.name = title_of(row.name);
  control.unit = row.unit;
  control.help = row.help;
  control.lowest = row.lowest;
  control.highest = row.highest;
  control.initial = index < sound.initial.size() ? sound.initial[index] : row.initial;
  if (name == "morph_timbre") {
    control.kind = Kind::kTimbre;
    control.highest = std::max<float>(1.0f, static_cast<float>(sound.timbres.size()) - 1.0f);
  } else if (has(kSwitches, name)) {
    control.kind = Kind::kSwitch;
  } else if (control.unit.empty() && row.highest - row.lowest >= kLeastCount) {
    control.kind = Kind::kCount;
  }
  control.has_effect = sound.is_spectral ? !has(kOfSampleRNN, name) : !has(kOfGANSynth, name);
  return control;
}

std::vector<Section> make_sections(const std::vector<audiogen_parameter>& table,
                                   const Sound& sound) {
  std::vector<Section> sections(1, {"Macros", {}});
  for (const SectionRule& rule : kRules) sections.push_back({rule.title, {}});
  sections.push_back({"More", {}});
  std::size_t n_macros = 0;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const std::string_view name = table[i].name;
    Control control = make_control(table[i], i, sound);
    if (name.starts_with(kMacroPrefix)) {
      if (n_macros == sound.macros.size()) continue;
      const Macro& macro = sound.macros[n_macros++];
      control.name = title_of(macro.name);
      control.help = macro.help;
      sections.front().controls.push_back(control);
    } else if (!has(kWithoutKnob, name)) {
      const auto rule = std::ranges::find_if(
          kRules, [&](const SectionRule& candidate) { return has(candidate.names, name); });
      sections[1 + static_cast<std::size_t>(rule - std::begin(kRules))].controls.push_back(control);
    }
  }
  for (std::size_t s = 0; s < std::size(kRules); ++s) {  // in the order of the rule
    const auto place = [&](const Control& control) {
      return std::ranges::find(kRules[s].names, table[control.parameter].name) -
             kRules[s].names.begin();
    };
    std::ranges::sort(sections[1 + s].controls, {}, place);
  }
  std::erase_if(sections, [](const Section& section) { return section.controls.empty(); });
  return sections;
}

float Control::position_of(float value) const {
  const float part = std::clamp((value - lowest) / (highest - lowest), 0.0f, 1.0f);
  return unit == "s" ? std::pow(part, 1.0f / kTimePower) : part;
}

float Control::value_at(float position) const {
  position = std::clamp(position, 0.0f, 1.0f);
  const float part = unit == "s" ? std::pow(position, kTimePower) : position;
  const float value = lowest + (highest - lowest) * part;
  if (kind == Kind::kSwitch) return position >= 0.5f ? highest : lowest;
  return kind == Kind::kKnob ? value : std::round(value);
}

float Control::step() const {
  return kind == Kind::kKnob ? 0.0f : kind == Kind::kSwitch ? 1.0f : 1.0f / (highest - lowest);
}

static std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), pattern, value);
  return text;
}

std::string Control::text_of(float value, const std::vector<Timbre>& timbres) const {
  if (kind == Kind::kSwitch) return value >= 0.5f ? "on" : "off";
  if (kind == Kind::kTimbre) {
    const auto index = static_cast<std::size_t>(std::max(0.0f, std::round(value)));
    if (timbres.empty()) return "-";
    std::string name = timbres[std::min(index, timbres.size() - 1)].name;
    std::ranges::replace(name, '-', ' ');
    return name;
  }
  if (kind == Kind::kCount) return format("%.0f", std::round(value));
  if (name == "Pan") {
    const float share = std::round(100.0f * std::abs(value));
    if (share == 0.0f) return "centre";
    return format(value < 0.0f ? "L %.0f" : "R %.0f", share);
  }
  if (unit == "s")
    return value < 1.0f ? format("%.0f ms", 1000.0 * value) : format("%.1f s", value);
  if (unit == "semitones") {
    return std::abs(value) < 2.0f ? format("%.0f cents", 100.0 * value) : format("%.1f st", value);
  }
  if (!unit.empty()) return format("%.3g ", value) + unit;
  if (std::max(-lowest, highest) > 1.0f) return format("%.2f", value);
  const float percent = std::round(100.0f * value) + 0.0f;  // without -0
  return format(lowest < 0.0f && percent > 0.0f ? "+%.0f %%" : "%.0f %%", percent);
}

}  // namespace audiogen::plugin::editor

// Mouse actions and what they change.
#include "plugin/editor/model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "plugin/editor/timbre_map.h"

namespace audiogen::plugin::editor {

static constexpr float kWholeTurn = 160.0f;         // pixels from one end of a knob to the other
static constexpr float kFine = 5.0f;                // with shift, a drag is this many times as long
static constexpr float kWheelStep = 0.02f;          // of a knob's turn
static constexpr std::uint32_t kDoubleClick = 400;  // ms
static constexpr float kSnap = 12.0f;               // pixels around a timbre of the map
static constexpr float kMenuRow = 26.0f, kMenuColumn = 176.0f, kMenuPadding = 6.0f;
static constexpr float kFall = 30.0f;     // of the meter, dB per second
static constexpr float kSilence = 1e-4f;  // the meter shows lower levels as silence
static constexpr float kSoftest = 0.25f;  // velocity at the top of a key

Rect Menu::place_of(std::size_t index) const {
  const std::size_t line = index % n_lines();
  if (line < first_row || line >= first_row + n_rows) return {};
  const auto column = static_cast<float>(index / n_lines());
  const float width = (box.width - 2.0f * kMenuPadding) / static_cast<float>(n_columns);
  return {box.x + kMenuPadding + column * width,
          box.y + kMenuPadding + kMenuRow * static_cast<float>(line - first_row), width, kMenuRow};
}

Model::Model(std::vector<audiogen_parameter> table, Receiver& receiver)
    : table_(std::move(table)), receiver_(receiver) {
  map_on_ = index_of("timbre_map");
  map_x_ = index_of("timbre_x");
  map_y_ = index_of("timbre_y");
  morph_ = index_of("morph");
  morph_timbre_ = index_of("morph_timbre");
  for (const audiogen_parameter& row : table_) values_.push_back(row.initial);
  sections_ = make_sections(table_, sound_);
  resize(kWidth, kHeight);
}

int Model::index_of(const char* name) const {
  for (std::size_t i = 0; i < table_.size(); ++i) {
    if (std::strcmp(table_[i].name, name) == 0) return static_cast<int>(i);
  }
  return -1;
}

void Model::resize(float width, float height) {
  layout_.window = {0.0f, 0.0f, width, height};
  arrange();
}

void Model::arrange() {
  const Rect window = layout_.window;
  layout_ = make_layout(window.width, window.height, sections_, first_octave_);
  if (menu_.of != What::kNothing) open_menu(menu_.of);
  changed_ = true;
}

void Model::show_presets(std::vector<std::string> names) {
  presets_ = std::move(names);
  changed_ = true;
}

void Model::show_sound(Sound sound) {
  // The knob may be gone afterwards.
  if (dragged_.what != What::kKey) release();
  if (hovered_.what == What::kKnob) hovered_ = {};
  sound_ = std::move(sound);
  sections_ = make_sections(table_, sound_);
  menu_ = {};
  arrange();
}

void Model::show_parameter(std::size_t index, float value) {
  if (index >= values_.size() || values_[index] == value) return;
  // Hosts echo values that were sent to them, which may be outdated by then.
  const bool is_dragged_knob =
      dragged_.what == What::kKnob && layout_.knobs[dragged_.index].control->parameter == index;
  const bool is_dragged_point = dragged_.what == What::kMap && (static_cast<int>(index) == map_x_ ||
                                                                static_cast<int>(index) == map_y_);
  if (is_dragged_knob || is_dragged_point) return;
  values_[index] = value;
  changed_ = true;
}

void Model::show_timbre(int index) {
  changed_ = changed_ || index != timbre_;
  timbre_ = index;
}

void Model::show_keys(std::uint64_t low, std::uint64_t high) {
  const std::array keys = {low, high};
  changed_ = changed_ || keys != keys_;
  keys_ = keys;
}

void Model::show_level(std::size_t channel, float peak) {
  if (channel >= levels_.size() || !(peak > levels_[channel])) return;
  levels_[channel] = std::min(peak, 4.0f);
  changed_ = true;
}

void Model::show_message(std::string text) {
  message_ = std::move(text);
  changed_ = true;
}

void Model::advance(double seconds) {
  const auto factor = static_cast<float>(std::pow(10.0, -kFall / 20.0 * seconds));
  for (float& level : levels_) {
    if (level == 0.0f) continue;
    level = level < kSilence ? 0.0f : level * factor;
    changed_ = true;
  }
}

bool Model::take_change() { return std::exchange(changed_, false); }

// What is shown.

std::size_t Model::timbre() const {
  const std::size_t n = sound_.timbres.size();
  const bool is_valid = timbre_ >= 0 && static_cast<std::size_t>(timbre_) < n;
  return static_cast<std::size_t>(is_valid ? timbre_ : sound_.default_timbre);
}

bool Model::map_is_on() const {
  return sound_.has_map && map_on_ >= 0 && values_[static_cast<std::size_t>(map_on_)] >= 0.5f;
}

Point Model::point() const {
  if (map_is_on() && map_x_ >= 0 && map_y_ >= 0) {
    return {values_[static_cast<std::size_t>(map_x_)], values_[static_cast<std::size_t>(map_y_)]};
  }
  return sound_.timbres.empty() ? Point{0.5f, 0.5f} : sound_.timbres[timbre()].place;
}

std::string Model::timbre_text() const {
  if (sound_.timbres.empty()) return "";
  std::size_t first = timbre(), other = first;
  float amount = 0.0f;
  if (map_is_on()) {
    const Blend blend = blend_at(sound_.timbres, point());
    first = blend.timbre;
    other = blend.other;
    amount = blend.amount;
  } else if (morph_ >= 0 && morph_timbre_ >= 0) {
    const float index =
        std::max(0.0f, std::round(values_[static_cast<std::size_t>(morph_timbre_)]));
    other = std::min(static_cast<std::size_t>(index), sound_.timbres.size() - 1);
    amount = values_[static_cast<std::size_t>(morph_)];
  }
  std::string text = sound_.timbres[first].name;
  const int percent = static_cast<int>(std::lround(100.0f * amount));
  if (percent > 0 && other != first) {
    text += ", " + std::to_string(percent) + " % " + sound_.timbres[other].name;
  }
  std::ranges::replace(text, '-', ' ');
  return text;
}

std::string Model::footer_text() const {
  if (has_message()) return message_;
  switch (hovered_.what) {
    case What::kKnob: {
      const Control& control = *layout_.knobs[hovered_.index].control;
      return control.name + ". " + control.help;
    }
    case What::kMap:
      if (!sound_.has_map) break;
      return "Drag the point: the nearest timbre plays, morphed towards the second nearest.";
    case What::kMapSwitch:
      return "On: the point chooses timbres (timbre_x, timbre_y). Off: the chosen timbre plays.";
    case What::kKey:
      return "Click lower on a key for a louder note.";
    default:
      break;
  }
  return "";
}

Target Model::target_at(Point at) const {
  if (menu_.of != What::kNothing) {
    for (std::size_t i = 0; i < menu_.items.size(); ++i) {
      if (menu_.place_of(i).contains(at)) return {What::kMenuItem, i};
    }
    return {menu_.box.contains(at) ? What::kNothing : What::kOutsideMenu, 0};
  }
  if (layout_.map_switch.contains(at) && sound_.has_map) return {What::kMapSwitch, 0};
  if (layout_.map.contains(at)) return {What::kMap, 0};
  for (std::size_t i = 0; i < layout_.knobs.size(); ++i) {
    if (layout_.knobs[i].cell.contains(at)) return {What::kKnob, i};
  }
  for (std::size_t i = layout_.keys.size(); i-- > 0;) {  // black keys first
    if (layout_.keys[i].place.contains(at)) return {What::kKey, i};
  }
  const std::pair<Rect, What> buttons[] = {
      {layout_.preset.previous, What::kPresetPrevious},
      {layout_.preset.field, What::kPreset},
      {layout_.preset.next, What::kPresetNext},
      {layout_.timbre.previous, What::kTimbrePrevious},
      {layout_.timbre.field, What::kTimbre},
      {layout_.timbre.next, What::kTimbreNext},
      {layout_.octave_down, What::kOctaveDown},
      {layout_.octave_up, What::kOctaveUp},
  };
  for (const auto& [place, what] : buttons) {
    if (place.contains(at)) return {what, 0};
  }
  return {};
}

// Changes.

void Model::set(std::size_t parameter, float value) {
  if (values_[parameter] == value) return;
  values_[parameter] = value;
  receiver_.set(parameter, value);
  changed_ = true;
}

void Model::set_once(std::size_t parameter, float value) {
  receiver_.begin(parameter);
  set(parameter, value);
  receiver_.end(parameter);
}

// With the preset's default timbre. The preset is shown once the plug-in has opened it.
void Model::choose_preset(std::size_t index) {
  if (index >= presets_.size()) return;
  receiver_.choose_preset(presets_[index]);
  timbre_ = -1;
  receiver_.choose_timbre(timbre_);
}

// If the map is on, its point moves there as well.
void Model::choose_timbre(std::size_t index) {
  if (index >= sound_.timbres.size()) return;
  timbre_ = static_cast<int>(index);
  receiver_.choose_timbre(timbre_);
  if (map_is_on()) {
    const Point place = sound_.timbres[index].place;
    set_once(static_cast<std::size_t>(map_x_), place.x);
    set_once(static_cast<std::size_t>(map_y_), place.y);
  }
  changed_ = true;
}

// Wraps around at the ends.
void Model::choose_next(What what, int step) {
  const bool is_preset = what == What::kPreset;
  const auto n = static_cast<int>(is_preset ? presets_.size() : sound_.timbres.size());
  if (n == 0) return;
  int now = static_cast<int>(timbre());
  if (map_is_on()) now = static_cast<int>(blend_at(sound_.timbres, point()).timbre);
  if (is_preset) {
    now = static_cast<int>(std::ranges::find(presets_, sound_.preset) - presets_.begin());
    if (now == n) now = step > 0 ? -1 : 0;
  }
  const auto next = static_cast<std::size_t>((now + step % n + n) % n);
  is_preset ? choose_preset(next) : choose_timbre(next);
}

void Model::drag_map(Point at) {
  const Rect map = layout_.map;
  Point place{std::clamp((at.x - map.x) / map.width, 0.0f, 1.0f),
              std::clamp((at.y - map.y) / map.height, 0.0f, 1.0f)};
  for (const Timbre& timbre : sound_.timbres) {
    if (std::hypot((timbre.place.x - place.x) * map.width,
                   (timbre.place.y - place.y) * map.height) < kSnap) {
      place = timbre.place;
      break;
    }
  }
  set(static_cast<std::size_t>(map_x_), place.x);
  set(static_cast<std::size_t>(map_y_), place.y);
}

// Louder towards the lower end of a key.
void Model::play(Target key, Point at) {
  const int pitch = key.what == What::kKey ? layout_.keys[key.index].pitch : -1;
  if (pitch == held_pitch_) return;
  if (held_pitch_ >= 0) receiver_.note_off(held_pitch_);
  held_pitch_ = pitch;
  if (pitch >= 0) {
    const Rect place = layout_.keys[key.index].place;
    const float depth = std::clamp((at.y - place.y) / (0.9f * place.height), 0.0f, 1.0f);
    receiver_.note_on(pitch, kSoftest + (1.0f - kSoftest) * depth);
  }
  changed_ = true;
}

void Model::shift_octave(int octaves) {
  const int highest = 9 - n_octaves(layout_.keyboard_card.width);
  const int octave = std::clamp(first_octave_ + octaves, -1, std::max(-1, highest));
  if (octave == first_octave_) return;
  first_octave_ = octave;
  arrange();
}

void Model::open_menu(What what) {
  const std::size_t first_row = menu_.of == what ? menu_.first_row : 0;
  menu_ = {};
  if (what == What::kPreset) {
    menu_.items = presets_;
    menu_.chosen =
        static_cast<std::size_t>(std::ranges::find(presets_, sound_.preset) - presets_.begin());
  } else {
    for (const Timbre& timbre : sound_.timbres) menu_.items.push_back(timbre.name);
    menu_.chosen = map_is_on() ? blend_at(sound_.timbres, point()).timbre : timbre();
  }
  changed_ = true;
  if (menu_.items.empty()) return;
  menu_.of = what;
  const Rect field = what == What::kPreset ? layout_.preset.field : layout_.timbre.field;
  const float top = field.bottom() + 6.0f;
  const float room = layout_.window.height - top - 12.0f - 2.0f * kMenuPadding;
  const auto most_rows = static_cast<std::size_t>(std::max(1.0f, room / kMenuRow));
  const float widest = layout_.window.width - field.x - 12.0f - 2.0f * kMenuPadding;
  const auto most_columns = static_cast<std::size_t>(std::max(1.0f, widest / kMenuColumn));
  const std::size_t n = menu_.items.size();
  menu_.n_columns = std::min(most_columns, (n + most_rows - 1) / most_rows);
  menu_.n_rows = std::min(most_rows, menu_.n_lines());
  menu_.first_row = std::min(first_row, menu_.n_lines() - menu_.n_rows);
  const float width = std::max(kMenuColumn * static_cast<float>(menu_.n_columns),
                               field.width - 2.0f * kMenuPadding);
  menu_.box = {field.x, top, width + 2.0f * kMenuPadding,
               kMenuRow * static_cast<float>(menu_.n_rows) + 2.0f * kMenuPadding};
}

// Mouse.

void Model::press(Point at, std::uint32_t time_ms, bool fine) {
  release();
  move(at, fine);
  const Target target = target_at(at);
  const bool is_double = target == pressed_ && time_ms - pressed_ms_ < kDoubleClick;
  pressed_ = is_double ? Target{} : target;
  pressed_ms_ = time_ms;
  changed_ = true;
  switch (target.what) {
    case What::kMap:
      if (!sound_.has_map || map_on_ < 0 || map_x_ < 0 || map_y_ < 0) return;
      if (!map_is_on()) set_once(static_cast<std::size_t>(map_on_), 1.0f);
      receiver_.begin(static_cast<std::size_t>(map_x_));
      receiver_.begin(static_cast<std::size_t>(map_y_));
      dragged_ = target;
      return drag_map(at);
    case What::kMapSwitch: {
      // The point stays where it is shown.
      const Point place = point();
      const bool is_on = map_is_on();
      if (!is_on) {
        set_once(static_cast<std::size_t>(map_x_), place.x);
        set_once(static_cast<std::size_t>(map_y_), place.y);
      }
      return set_once(static_cast<std::size_t>(map_on_), is_on ? 0.0f : 1.0f);
    }
    case What::kKnob: {
      const Control& control = *layout_.knobs[target.index].control;
      const float value = values_[control.parameter];
      if (control.kind == Kind::kSwitch) {
        return set_once(control.parameter, value >= 0.5f ? control.lowest : control.highest);
      }
      if (is_double) return set_once(control.parameter, control.initial);
      receiver_.begin(control.parameter);
      dragged_ = target;
      position_ = control.position_of(value);
      return;
    }
    case What::kKey:
      dragged_ = target;
      return play(target, at);
    case What::kPreset:
    case What::kTimbre:
      return open_menu(target.what);
    case What::kPresetPrevious:
      return choose_next(What::kPreset, -1);
    case What::kPresetNext:
      return choose_next(What::kPreset, 1);
    case What::kTimbrePrevious:
      return choose_next(What::kTimbre, -1);
    case What::kTimbreNext:
      return choose_next(What::kTimbre, 1);
    case What::kOctaveDown:
      return shift_octave(-1);
    case What::kOctaveUp:
      return shift_octave(1);
    case What::kMenuItem: {
      const What of = menu_.of;
      menu_ = {};
      of == What::kPreset ? choose_preset(target.index) : choose_timbre(target.index);
      return;
    }
    case What::kOutsideMenu:
      menu_ = {};
      return;
    case What::kNothing:
      return;
  }
}

void Model::move(Point at, bool fine) {
  const Target target = target_at(at);
  changed_ = changed_ || !(target == hovered_);
  if (dragged_.what == What::kNothing) hovered_ = target;
  if (dragged_.what == What::kMap) {
    drag_map(at);
  } else if (dragged_.what == What::kKnob) {
    const Control& control = *layout_.knobs[dragged_.index].control;
    const float way = (at.x - last_.x) - (at.y - last_.y);
    position_ = std::clamp(position_ + way / (fine ? kFine * kWholeTurn : kWholeTurn), 0.0f, 1.0f);
    if (way != 0.0f) set(control.parameter, control.value_at(position_));
  } else if (dragged_.what == What::kKey) {
    play(target, at);
  }
  last_ = at;
}

void Model::release() {
  if (dragged_.what == What::kMap) {
    receiver_.end(static_cast<std::size_t>(map_x_));
    receiver_.end(static_cast<std::size_t>(map_y_));
  } else if (dragged_.what == What::kKnob) {
    receiver_.end(layout_.knobs[dragged_.index].control->parameter);
  } else if (dragged_.what == What::kKey) {
    play({}, last_);
  }
  changed_ = changed_ || dragged_.what != What::kNothing;
  dragged_ = {};
}

void Model::wheel(Point at, int steps, bool fine) {
  if (menu_.of != What::kNothing) {
    const auto last = static_cast<int>(menu_.n_lines() - menu_.n_rows);
    menu_.first_row =
        static_cast<std::size_t>(std::clamp(static_cast<int>(menu_.first_row) - steps, 0, last));
    changed_ = true;
    return;
  }
  const Target target = target_at(at);
  if (target.what == What::kKnob && dragged_.what != What::kKnob) {
    const Control& control = *layout_.knobs[target.index].control;
    const float least = std::max(control.step(), fine ? kWheelStep / kFine : kWheelStep);
    const float position = control.position_of(values_[control.parameter]);
    set_once(control.parameter, control.value_at(position + least * static_cast<float>(steps)));
  } else if (target.what == What::kKey && dragged_.what != What::kKey) {
    shift_octave(steps > 0 ? 1 : -1);
  } else if (target.what == What::kPreset || target.what == What::kTimbre) {
    choose_next(target.what, steps > 0 ? -1 : 1);
  }
}

void Model::leave() {
  if (dragged_.what != What::kNothing) return;
  changed_ = changed_ || hovered_.what != What::kNothing;
  hovered_ = {};
}

}  // namespace audiogen::plugin::editor

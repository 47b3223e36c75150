// The editor of the plug-ins without a display: layout, hit test, and what the mouse changes.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capi/audiogen.h"
#include "check.h"
#include "plugin/editor/controls.h"
#include "plugin/editor/layout.h"
#include "plugin/editor/model.h"
#include "plugin/editor/sound.h"
#include "plugin/editor/timbre_map.h"

using namespace audiogen::plugin::editor;

static const std::string kFolder =
    (std::filesystem::path(AUDIOGEN_TEST_DATA) / ".." / "presets").string();

// Writes down what the editor tells the plug-in.
struct Log final : Receiver {
  void begin(std::size_t parameter) override { add("begin", parameter); }
  void set(std::size_t parameter, float value) override {
    add("set", parameter);
    last_value = value;
  }
  void end(std::size_t parameter) override { add("end", parameter); }
  void choose_preset(const std::string& name) override { lines.push_back("preset " + name); }
  void choose_timbre(int index) override { lines.push_back("timbre " + std::to_string(index)); }
  void note_on(int pitch, float velocity) override {
    lines.push_back("on " + std::to_string(pitch));
    last_value = velocity;
  }
  void note_off(int pitch) override { lines.push_back("off " + std::to_string(pitch)); }
  void add(const char* word, std::size_t parameter) {
    lines.push_back(std::string(word) + " " + audiogen_parameter_info(parameter)->name);
  }
  std::vector<std::string> take() { return std::exchange(lines, {}); }

  std::vector<std::string> lines;
  float last_value = 0.0f;
};

using Lines = std::vector<std::string>;

static std::vector<audiogen_parameter> table() {
  std::vector<audiogen_parameter> rows;
  for (std::size_t i = 0; i < audiogen_n_parameters(); ++i) {
    rows.push_back(*audiogen_parameter_info(i));
  }
  return rows;
}

static std::size_t index_of(const char* name) {
  return static_cast<std::size_t>(audiogen_parameter_index(name));
}

static Sound sound_of(const char* preset) {
  const Catalogue catalogue({kFolder});
  const std::optional<Sound> sound = catalogue.open(preset);
  CHECK(sound.has_value());
  return sound.value_or(Sound{});
}

static const KnobPlace* knob_of(const Model& model, const char* parameter) {
  for (const KnobPlace& place : model.layout().knobs) {
    if (place.control->parameter == index_of(parameter)) return &place;
  }
  return nullptr;
}

static Point centre_of(const Model& model, const char* parameter) {
  const KnobPlace* place = knob_of(model, parameter);
  CHECK(place != nullptr);
  return place ? place->dial.centre() : Point{};
}

static Rect key_of(const Model& model, int pitch) {
  for (const Key& key : model.layout().keys) {
    if (key.pitch == pitch) return key.place;
  }
  CHECK(false);
  return {};
}

static bool overlap(Rect a, Rect b) {
  return a.x < b.right() - 0.01f && b.x < a.right() - 0.01f && a.y < b.bottom() - 0.01f &&
         b.y < a.bottom() - 0.01f;
}

static void nothing_overlaps_in_windows_of_any_size() {
  for (const char* preset : {"plucked", "bowed", "winds-sketch", "percussion-sketch"}) {
    Log log;
    Model model(table(), log);
    model.show_sound(sound_of(preset));
    for (const auto& [width, height] :
         {std::pair{kWidth, kHeight}, {1500.0f, kHeight}, {kWidth, 1100.0f}}) {
      model.resize(width, height);
      const Layout& layout = model.layout();
      std::vector<Rect> places = {layout.preset.previous, layout.preset.field, layout.preset.next,
                                  layout.timbre.previous, layout.timbre.field, layout.timbre.next,
                                  layout.meter,           layout.map,          layout.map_switch,
                                  layout.octave_down,     layout.octave_up,    layout.legend,
                                  layout.footer};
      for (const KnobPlace& knob : layout.knobs) places.push_back(knob.cell);
      for (const Key& key : layout.keys) {
        if (!key.is_black) places.push_back(key.place);
      }
      for (std::size_t i = 0; i < places.size(); ++i) {
        const Rect place = places[i];
        CHECK(place.x >= 0.0f && place.y >= 0.0f && place.right() <= width + 0.01f &&
              place.bottom() <= height + 0.01f && place.width > 4.0f && place.height > 4.0f);
        for (std::size_t j = 0; j < i; ++j) CHECK(!overlap(place, places[j]));
      }
    }
  }
}

static void every_row_has_a_control() {
  std::vector<audiogen_parameter> rows = table();
  rows.push_back(
      {"chorus", "", 0.0f, 1.0f, 0.25f, 0.02, -1, "A row that the editor has not seen."});
  Log log;
  Model model(rows, log);
  const Sound sound = sound_of("plucked");
  model.show_sound(sound);
  CHECK(sound.macros.size() == 2);
  std::vector<int> n_of(rows.size());
  for (const KnobPlace& place : model.layout().knobs) ++n_of[place.control->parameter];
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string name = rows[i].name;
    const bool has_none = name.starts_with("timbre_") || name == "pitch_wheel";
    const bool is_missing_macro = name >= "macro_3" && name <= "macro_8";
    CHECK(n_of[i] == (has_none || is_missing_macro ? 0 : 1));
  }
  const KnobPlace& last = model.layout().knobs.back();
  CHECK(last.control->name == "Chorus" && model.value(rows.size() - 1) == 0.25f);
  CHECK(knob_of(model, "macro_1")->control->name == "Brightness");
  // Sections stay together: the two short ones share a row, "Mix" begins one.
  const auto row = [&](const char* name) { return knob_of(model, name)->cell.y; };
  CHECK(row("bend") == row("vibrato") && row("volume") == row("voices"));
  CHECK(row("macro_1") < row("morph") && row("vibrato") < row("volume"));
  model.move(last.dial.centre(), false);
  CHECK(model.footer_text().find("has not seen") != std::string::npos);
}

static void values_have_units() {
  const Sound sound = sound_of("plucked");
  const std::vector<Section> sections = make_sections(table(), sound);
  const auto text = [&](const char* name, float value) -> std::string {
    for (const Section& section : sections) {
      for (const Control& control : section.controls) {
        if (control.parameter == index_of(name)) return control.text_of(value, sound.timbres);
      }
    }
    return "";
  };
  CHECK(text("volume", 0.5f) == "50 %");
  CHECK(text("attack", 0.25f) == "+25 %" && text("attack", -0.001f) == "0 %");
  CHECK(text("pan", 0.0f) == "centre" && text("pan", -0.3f) == "L 30");
  CHECK(text("glide", 0.05f) == "50 ms" && text("glide", 2.5f) == "2.5 s");
  CHECK(text("bend", 0.5f) == "50 cents" && text("bend", -12.0f) == "-12.0 st");
  CHECK(text("voices", 3.2f) == "3" && text("sustain", 0.6f) == "on");
  CHECK(text("morph_timbre", 2.0f) == "nylon string guitar");
  CHECK(text("morph_timbre", 900.0f) == "harp");
}

static void positions_and_values_are_inverse() {
  const Sound sound = sound_of("plucked");
  for (const Section& section : make_sections(table(), sound)) {
    for (const Control& control : section.controls) {
      CHECK(control.value_at(0.0f) == control.lowest && control.value_at(1.0f) == control.highest);
      CHECK_NEAR(control.position_of(control.lowest), 0.0, 1e-6);
      CHECK_NEAR(control.position_of(control.highest), 1.0, 1e-6);
      if (control.kind != Kind::kKnob) continue;
      for (const float position : {0.1f, 0.5f, 0.83f}) {
        CHECK_NEAR(control.position_of(control.value_at(position)), position, 1e-5);
      }
    }
  }
}

static void a_knob_is_dragged_turned_and_reset() {
  Log log;
  Model model(table(), log);
  model.show_sound(sound_of("plucked"));
  const Point at = centre_of(model, "morph");
  model.press(at, 1000, false);
  model.move({at.x, at.y - 40.0f}, false);  // up: a quarter of the turn
  CHECK((log.take() == Lines{"begin morph", "set morph"}));
  CHECK_NEAR(log.last_value, 0.25, 1e-6);
  model.move({at.x + 16.0f, at.y - 40.0f}, true);  // with shift, a fifth of 16 pixels
  CHECK_NEAR(log.last_value, 0.27, 1e-6);
  model.show_parameter(index_of("morph"), 0.1f);  // the host's late echo
  CHECK_NEAR(model.value(index_of("morph")), 0.27, 1e-6);
  model.move({at.x + 5000.0f, at.y}, false);
  CHECK(log.last_value == 1.0f);
  model.release();
  CHECK(log.take().back() == "end morph");
  model.move(at, false);
  CHECK(log.take().empty());
  model.show_parameter(index_of("morph"), 0.1f);
  CHECK(model.value(index_of("morph")) == 0.1f && log.take().empty());

  model.wheel(at, 1, false);
  CHECK_NEAR(log.last_value, 0.12, 1e-6);
  CHECK((log.take() == Lines{"begin morph", "set morph", "end morph"}));
  model.press(at, 2000, false);
  model.release();
  model.press(at, 2200, false);
  model.release();
  CHECK(log.last_value == 0.0f && model.value(index_of("morph")) == 0.0f);
  model.press(at, 2300, false);  // a third press does not reset
  model.move({at.x + 16.0f, at.y}, false);
  model.release();
  log.take();
  model.press(at, 2900, false);  // nor a late one
  model.release();
  CHECK((log.take() == Lines{"begin morph", "end morph"}));

  model.wheel(centre_of(model, "voices"), -1, false);
  CHECK(log.last_value == 15.0f);
  log.take();
  model.press(centre_of(model, "sustain"), 4000, false);
  model.release();
  CHECK((log.take() == Lines{"begin sustain", "set sustain", "end sustain"}));
  CHECK(log.last_value == 1.0f);
}

static void a_reset_gives_the_value_of_the_preset() {
  Log log;
  Model model(table(), log);
  Sound sound = sound_of("percussion-sketch");
  sound.initial[index_of("temperature")] = 0.85f;
  model.show_sound(sound);
  const Point at = centre_of(model, "temperature");
  model.press(at, 1, false);
  model.release();
  model.press(at, 2, false);
  CHECK(log.last_value == 0.85f);
}

static void keys_play_notes() {
  Log log;
  Model model(table(), log);
  model.show_sound(sound_of("plucked"));
  const Rect c = key_of(model, 60), d = key_of(model, 62), c_sharp = key_of(model, 61);
  model.press({c.centre().x, c.bottom() - 2.0f}, 1, false);
  CHECK((log.take() == Lines{"on 60"}) && model.is_held(60));
  CHECK(log.last_value == 1.0f);
  model.move({d.centre().x, d.bottom() - 2.0f}, false);  // glissando
  CHECK((log.take() == Lines{"off 60", "on 62"}));
  model.move({d.centre().x, d.bottom() - 12.0f}, false);
  CHECK(log.take().empty());
  model.move({0.0f, 0.0f}, false);
  CHECK((log.take() == Lines{"off 62"}));
  model.release();
  CHECK(log.take().empty() && !model.is_held(62));
  model.press({c_sharp.centre().x, c_sharp.y + 4.0f}, 2, false);
  CHECK((log.take() == Lines{"on 61"}) && log.last_value < 0.5f);
  model.show_sound(sound_of("struck"));  // the note goes on
  model.release();
  CHECK((log.take() == Lines{"off 61"}));

  const int lowest = model.layout().keys.front().pitch;
  model.press(model.layout().octave_up.centre(), 3, false);
  CHECK(model.layout().keys.front().pitch == lowest + 12);
  for (int i = 0; i < 20; ++i) model.wheel(model.layout().keys.front().place.centre(), -1, false);
  CHECK(model.layout().keys.front().pitch == 0);
  for (int i = 0; i < 20; ++i) model.wheel(model.layout().keys.front().place.centre(), 1, false);
  for (const Key& key : model.layout().keys) CHECK(key.pitch >= 0 && key.pitch <= 127);
  CHECK(log.take().empty());
}

static void keys_of_the_host_are_shown() {
  Log log;
  Model model(table(), log);
  model.show_sound(sound_of("plucked"));
  model.take_change();
  model.show_keys(std::uint64_t{1} << 60, std::uint64_t{1} << 8 | std::uint64_t{1} << 63);
  CHECK(model.take_change());
  for (int pitch = 0; pitch < 128; ++pitch) {
    CHECK(model.is_held(pitch) == (pitch == 60 || pitch == 72 || pitch == 127));
  }
  model.show_keys(std::uint64_t{1} << 60, std::uint64_t{1} << 8 | std::uint64_t{1} << 63);
  CHECK(!model.take_change());
  model.show_keys(0, 0);
  CHECK(model.take_change() && !model.is_held(60));
  CHECK(log.take().empty());
}

static void the_point_of_the_map_is_dragged() {
  Log log;
  Model model(table(), log);
  model.show_sound(sound_of("plucked"));
  CHECK(!model.map_is_on() && model.timbre_text() == "nylon string guitar");
  const Rect map = model.layout().map;
  const Point at{map.x + 0.6f * map.width, map.y + 0.62f * map.height};
  model.press(at, 1, false);
  CHECK((log.take() == Lines{"begin timbre_map", "set timbre_map", "end timbre_map",
                             "begin timbre_x", "begin timbre_y", "set timbre_x", "set timbre_y"}));
  CHECK(model.map_is_on());
  CHECK_NEAR(model.point().x, 0.6, 1e-5);
  CHECK_NEAR(model.point().y, 0.62, 1e-5);
  model.move({-50.0f, 9000.0f}, false);
  CHECK(model.point().x == 0.0f && model.point().y == 1.0f);
  const Point harp = model.sound().timbres[9 + 1].place;
  model.move({map.x + harp.x * map.width + 5.0f, map.y + harp.y * map.height - 5.0f}, false);
  CHECK(model.point().x == harp.x && model.point().y == harp.y);  // near a timbre is on it
  CHECK(model.timbre_text() == model.sound().timbres[10].name);
  model.release();
  const Lines lines = log.take();
  CHECK((Lines(lines.end() - 2, lines.end()) == Lines{"end timbre_x", "end timbre_y"}));
  model.press(model.layout().map_switch.centre(), 900, false);
  CHECK(!model.map_is_on() &&
        (log.take() == Lines{"begin timbre_map", "set timbre_map", "end timbre_map"}));

  model.show_sound(sound_of("percussion-sketch"));
  model.press(at, 2000, false);
  model.release();
  CHECK(log.take().empty());
}

static void timbres_and_presets_are_chosen() {
  Log log;
  Model model(table(), log);
  model.show_presets({"brass", "plucked", "struck"});
  model.show_sound(sound_of("plucked"));
  const auto& layout = model.layout();
  model.press(layout.preset.next.centre(), 1, false);
  CHECK((log.take() == Lines{"preset struck", "timbre -1"}));
  CHECK(model.sound().preset == "plucked");  // until the plug-in has opened it
  model.press(layout.preset.field.centre(), 1000, false);
  CHECK(model.menu().items.size() == 3 && model.menu().chosen == 1);
  model.press(model.menu().place_of(0).centre(), 2000, false);
  CHECK((log.take() == Lines{"preset brass", "timbre -1"}) && model.menu().items.empty());
  model.press(layout.timbre.previous.centre(), 3000, false);
  CHECK((log.take() == Lines{"timbre 1"}) && model.timbre_text() == "fingered bass");
  model.press(layout.timbre.field.centre(), 4000, false);
  CHECK(model.menu().chosen == 1);
  model.press({1.0f, 1.0f}, 5000, false);  // beside the menu
  CHECK(log.take().empty() && model.menu().items.empty());

  // With the map on, its point goes to the timbre.
  model.show_parameter(index_of("timbre_map"), 1.0f);
  model.press(layout.timbre.field.centre(), 6000, false);
  model.press(model.menu().place_of(7).centre(), 7000, false);
  CHECK(log.take().front() == "timbre 7");
  CHECK(model.point().x == model.sound().timbres[7].place.x);
  CHECK(model.timbre_text() == "koto");
}

static void a_long_menu_is_scrolled() {
  Log log;
  Model model(table(), log);
  std::vector<std::string> names;
  for (int i = 0; i < 500; ++i) names.push_back("preset " + std::to_string(i));
  model.show_presets(names);
  model.show_sound(sound_of("plucked"));
  model.press(model.layout().preset.field.centre(), 1, false);
  const Menu& menu = model.menu();
  CHECK(menu.box.bottom() <= kHeight && menu.box.right() <= kWidth);
  const std::size_t last_line = menu.n_lines() - 1;
  CHECK(menu.place_of(last_line).width == 0.0f && menu.n_columns > 1);
  model.wheel(menu.box.centre(), -1000, false);
  CHECK(menu.box.contains(menu.place_of(last_line).centre()));
  model.press(menu.place_of(last_line).centre(), 1000, false);
  CHECK(log.take().front() == "preset preset " + std::to_string(last_line));
}

static void cells_divide_the_map() {
  const Sound sound = sound_of("woodwinds");
  const Rect map{10.0f, 20.0f, 400.0f, 300.0f};
  double whole = 0.0;
  for (std::size_t i = 0; i < sound.timbres.size(); ++i) {
    const std::vector<Point> corners = cell_of(sound.timbres, i, map);
    double area = 0.0;
    for (std::size_t k = 0; k < corners.size(); ++k) {
      const Point a = corners[k], b = corners[(k + 1) % corners.size()];
      area += 0.5 * (static_cast<double>(a.x) * b.y - static_cast<double>(b.x) * a.y);
    }
    CHECK(area > 0.0);
    const auto distance = [&](Point corner, std::size_t to) {
      const Point place = sound.timbres[to].place;
      return std::hypot(corner.x - (map.x + place.x * map.width),
                        corner.y - (map.y + place.y * map.height));
    };
    for (const Point& corner : corners) {  // no other timbre is nearer
      for (std::size_t j = 0; j < sound.timbres.size(); ++j) {
        CHECK(distance(corner, i) <= distance(corner, j) + 0.01f);
      }
    }
    whole += area;
  }
  CHECK_NEAR(whole, 400.0 * 300.0, 10.0);
  const Blend there = blend_at(sound.timbres, sound.timbres[3].place);
  CHECK(there.timbre == 3 && there.amount == 0.0f);
  const Point a = sound.timbres[0].place, b = sound.timbres[1].place;
  const Blend between = blend_at({sound.timbres[0], sound.timbres[1]},
                                 {0.75f * a.x + 0.25f * b.x, 0.75f * a.y + 0.25f * b.y});
  CHECK(between.timbre == 0 && between.other == 1);
  CHECK_NEAR(between.amount, 0.25, 1e-5);
  CHECK(blend_at({sound.timbres[0]}, {0.0f, 0.0f}).amount == 0.0f);
}

static void the_meter_falls() {
  Log log;
  Model model(table(), log);
  model.take_change();
  model.show_level(1, 0.5f);
  CHECK(model.take_change() && !model.take_change());
  model.advance(0.1);
  CHECK_NEAR(model.level(1), 0.5 * std::pow(10.0, -3.0 / 20.0), 1e-4);
  for (int i = 0; i < 100; ++i) model.advance(0.1);
  CHECK(model.level(1) == 0.0f);
  model.take_change();
  model.advance(0.1);
  CHECK(!model.take_change());  // silence is not drawn again
  model.show_level(0, NAN);
  CHECK(model.level(0) == 0.0f);
}

int main() {
  nothing_overlaps_in_windows_of_any_size();
  every_row_has_a_control();
  values_have_units();
  positions_and_values_are_inverse();
  a_knob_is_dragged_turned_and_reset();
  a_reset_gives_the_value_of_the_preset();
  keys_play_notes();
  keys_of_the_host_are_shown();
  the_point_of_the_map_is_dragged();
  timbres_and_presets_are_chosen();
  a_long_menu_is_scrolled();
  cells_divide_the_map();
  the_meter_falls();
  return audiogen::test::finish();
}

// Colours, texts and shapes of the editor, in the page's dark theme.
#include "plugin/editor/paint.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "plugin/editor/timbre_map.h"

namespace audiogen::plugin::editor {

namespace {

struct Colour {
  double red, green, blue;
};

constexpr Colour hex(unsigned rgb) {
  return {(rgb >> 16 & 255) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0};
}

constexpr Colour mix(Colour a, Colour b, double part) {
  return {a.red + part * (b.red - a.red), a.green + part * (b.green - a.green),
          a.blue + part * (b.blue - a.blue)};
}

constexpr Colour kGround = hex(0x0d0e11), kCard = hex(0x15171b), kInk = hex(0xeceae6),
                 kSoft = hex(0x9a9ca3), kLine = hex(0x2a2d33), kAccent = hex(0x8ea2ff),
                 kWarn = hex(0xff8a80), kWhiteKey = hex(0xdddcd8), kBlackKey = hex(0x1b1c20);
// Families of timbres, in the order of the preset.
constexpr Colour kFamilies[] = {hex(0x7f95ff), hex(0x35c9a5), hex(0xb07cff), hex(0xf2a65a),
                                hex(0xe86fb8), hex(0x4fb9ea), hex(0xe3cf62), hex(0xf0766c)};
constexpr double kPi = std::numbers::pi;
constexpr double kSweep = 1.5 * kPi;  // of a dial
constexpr double kMeterRange = 48.0;  // dB

enum class Align { kLeft, kCentre, kRight };

class Painter {
 public:
  Painter(cairo_t* context, const Model& model)
      : context_(context), model_(model), layout_(model.layout()) {}

  void draw() {
    // The same text widths at every scale.
    cairo_font_options_t* options = cairo_font_options_create();
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_set_font_options(context_, options);
    cairo_font_options_destroy(options);
    fill(kGround);
    cairo_paint(context_);
    draw_header();
    draw_map_card();
    draw_knob_card();
    draw_keyboard();
    const Rect footer = layout_.footer;
    text(model_.footer_text(), {footer.x + 2.0f, footer.y + 20.0f}, Align::kLeft, 12.0,
         model_.has_message() ? kWarn : kSoft, footer.width);
    if (model_.menu().of != What::kNothing) draw_menu();
  }

 private:
  // Basics.

  void fill(Colour colour, double alpha = 1.0) {
    cairo_set_source_rgba(context_, colour.red, colour.green, colour.blue, alpha);
  }

  void round(Rect rect, double radius) {
    const double x = rect.x, y = rect.y, right = rect.right(), bottom = rect.bottom();
    cairo_new_sub_path(context_);
    cairo_arc(context_, right - radius, y + radius, radius, -kPi / 2, 0);
    cairo_arc(context_, right - radius, bottom - radius, radius, 0, kPi / 2);
    cairo_arc(context_, x + radius, bottom - radius, radius, kPi / 2, kPi);
    cairo_arc(context_, x + radius, y + radius, radius, kPi, 1.5 * kPi);
    cairo_close_path(context_);
  }

  void box(Rect rect, double radius, Colour inside, Colour border) {
    round(rect.inset(0.5f), radius);
    fill(inside);
    cairo_fill_preserve(context_);
    fill(border);
    cairo_set_line_width(context_, 1.0);
    cairo_stroke(context_);
  }

  void disc(Point centre, double radius) {
    cairo_new_sub_path(context_);
    cairo_arc(context_, centre.x, centre.y, radius, 0.0, 2.0 * kPi);
  }

  void font(double size, bool bold) {
    cairo_select_font_face(context_, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(context_, size);
  }

  double width_of(const std::string& words, double size, bool bold = false) {
    font(size, bold);
    cairo_text_extents_t extents;
    cairo_text_extents(context_, words.c_str(), &extents);
    return extents.x_advance;
  }

  // `at` is on the baseline. A text that is too wide is cut.
  void text(std::string words, Point at, Align align, double size, Colour colour,
            double widest = 1e9, bool bold = false, double alpha = 1.0) {
    double width = width_of(words, size, bold);
    if (width > widest) {
      while (!words.empty() && width_of(words + "…", size, bold) > widest) {
        do {  // whole characters of UTF-8
          words.pop_back();
        } while (!words.empty() && (static_cast<unsigned char>(words.back()) & 0xC0) == 0x80);
      }
      while (!words.empty() && (words.back() == ' ' || words.back() == ',')) words.pop_back();
      words += "…";
      width = width_of(words, size, bold);
    }
    fill(colour, alpha);
    const double part = align == Align::kLeft ? 0.0 : align == Align::kCentre ? 0.5 : 1.0;
    cairo_move_to(context_, at.x - part * width, at.y);
    cairo_show_text(context_, words.c_str());
  }

  bool is_hovered(What what) const { return model_.hovered().what == what; }

  // Header.

  void arrow(Rect place, bool left, What what) {
    const Point c = place.centre();
    const float side = left ? -1.0f : 1.0f;
    fill(is_hovered(what) ? kInk : kSoft);
    cairo_set_line_width(context_, 1.8);
    cairo_set_line_cap(context_, CAIRO_LINE_CAP_ROUND);
    cairo_move_to(context_, c.x - 2.5 * side, c.y - 5.0);
    cairo_line_to(context_, c.x + 2.5 * side, c.y);
    cairo_line_to(context_, c.x - 2.5 * side, c.y + 5.0);
    cairo_stroke(context_);
  }

  void draw_chooser(const Chooser& chooser, const std::string& name, What previous, What what,
                    What next) {
    const Rect whole{chooser.previous.x, chooser.field.y, chooser.next.right() - chooser.previous.x,
                     chooser.field.height};
    box(whole, 9.0, kCard, is_hovered(what) || model_.menu().of == what ? kSoft : kLine);
    arrow(chooser.previous, true, previous);
    arrow(chooser.next, false, next);
    const Rect field = chooser.field;
    text(name, {field.x + 8.0f, field.y + 20.0f}, Align::kLeft, 13.5, kInk, field.width - 28.0,
         true);
    fill(kSoft);
    const double x = field.right() - 12.0, y = field.y + 13.0;
    cairo_move_to(context_, x - 4.0, y);
    cairo_line_to(context_, x + 4.0, y);
    cairo_line_to(context_, x, y + 5.0);
    cairo_fill(context_);
  }

  static std::string spaced(std::string name) {
    std::ranges::replace(name, '-', ' ');
    return name;
  }

  void draw_header() {
    text("audiogen", {layout_.map_card.x + 2.0f, 36.0f}, Align::kLeft, 19.0, kInk, 1e9, true);
    const Sound& sound = model_.sound();
    draw_chooser(layout_.preset, spaced(sound.preset), What::kPresetPrevious, What::kPreset,
                 What::kPresetNext);
    const bool has_timbres = !sound.timbres.empty();
    std::size_t timbre = model_.timbre();
    if (model_.map_is_on()) timbre = blend_at(sound.timbres, model_.point()).timbre;
    draw_chooser(layout_.timbre, has_timbres ? spaced(sound.timbres[timbre].name) : "no timbres",
                 What::kTimbrePrevious, What::kTimbre, What::kTimbreNext);
    for (std::size_t c = 0; c < 2; ++c) {
      const Rect bar{layout_.meter.x, layout_.meter.y + 9.0f * static_cast<float>(c),
                     layout_.meter.width, 6.0f};
      round(bar, 3.0);
      fill(kLine);
      cairo_fill(context_);
      const double level = model_.level(c);
      const double db = 20.0 * std::log10(std::max(level, 1e-6));
      const double part = std::clamp(1.0 + db / kMeterRange, 0.0, 1.0);
      if (part <= 0.0) continue;
      cairo_save(context_);
      round(bar, 3.0);
      cairo_clip(context_);
      cairo_rectangle(context_, bar.x, bar.y, part * bar.width, bar.height);
      fill(level > 1.0 ? kWarn : kAccent);
      cairo_fill(context_);
      cairo_restore(context_);
    }
  }

  // Map.

  void draw_map_card() {
    const Rect card = layout_.map_card;
    box(card, 14.0, kCard, kLine);
    text("Timbre map", {layout_.map.x, card.y + 26.0f}, Align::kLeft, 13.5, kInk, 1e9, true);
    const Sound& sound = model_.sound();
    if (!sound.has_map) {
      const Point c = layout_.map.centre();
      const char* lines[] = {"This preset has no timbre map.", "",
                             "A key lets it generate sound until it is released;",
                             "the velocity is the level."};
      const int n = sound.preset.empty() ? 0 : sound.plays_notes ? 1 : 4;
      for (int i = 0; i < n; ++i) {
        text(lines[i], {c.x, c.y + 20.0f * (static_cast<float>(i) - 1.0f)}, Align::kCentre, 13.0,
             kSoft);
      }
      return;
    }
    draw_switch(layout_.map_switch, model_.map_is_on(), is_hovered(What::kMapSwitch));
    text(model_.timbre_text(), {layout_.map.right(), card.y + 26.0f}, Align::kRight, 12.5, kSoft,
         layout_.map.right() - layout_.map_switch.right() - 12.0);
    cairo_save(context_);
    round(layout_.map, 9.0);
    fill(kGround);
    cairo_fill_preserve(context_);
    cairo_clip(context_);
    collect_families();
    for (std::size_t i = 0; i < sound.timbres.size(); ++i) draw_cell(i);
    draw_point_lines();
    for (std::size_t i = 0; i < sound.timbres.size(); ++i) draw_name(i);
    draw_point();
    cairo_restore(context_);
    draw_legend();
  }

  void collect_families() {
    families_.clear();
    for (const Timbre& timbre : model_.sound().timbres) {
      if (std::ranges::find(families_, timbre.family) == families_.end()) {
        families_.push_back(timbre.family);
      }
    }
  }

  Colour colour_of(const std::string& family) const {
    const auto index = std::ranges::find(families_, family) - families_.begin();
    return kFamilies[static_cast<std::size_t>(index) % std::size(kFamilies)];
  }

  Point on_map(Point place) const {
    const Rect map = layout_.map;
    return {map.x + place.x * map.width, map.y + place.y * map.height};
  }

  // The timbre that plays, and the one that it is morphed towards.
  Blend blend() const {
    const Sound& sound = model_.sound();
    if (model_.map_is_on()) return blend_at(sound.timbres, model_.point());
    return {model_.timbre(), model_.timbre(), 0.0f};
  }

  void draw_cell(std::size_t index) {
    const Timbre& timbre = model_.sound().timbres[index];
    const std::vector<Point> corners = cell_of(model_.sound().timbres, index, layout_.map);
    if (corners.size() < 3) return;
    const auto outline = [&] {
      cairo_new_path(context_);
      for (const Point& corner : corners) cairo_line_to(context_, corner.x, corner.y);
      cairo_close_path(context_);
    };
    const Blend now = blend();
    const double share = index == now.timbre  ? 1.0 - now.amount
                         : index == now.other ? static_cast<double>(now.amount)
                                              : 0.0;
    const Colour colour = colour_of(timbre.family);
    const Point centre = on_map(timbre.place);
    float reach = 0.0f;
    for (const Point& corner : corners) {
      reach = std::max(reach, std::hypot(corner.x - centre.x, corner.y - centre.y));
    }
    cairo_save(context_);
    outline();
    cairo_clip(context_);
    // Neighbours of one family differ a little.
    const double variation = 0.035 * static_cast<double>(index % 3);
    cairo_pattern_t* glow =
        cairo_pattern_create_radial(centre.x, centre.y, 0.0, centre.x, centre.y, reach);
    const Colour inner = mix(kGround, colour, 0.44 + variation + 0.36 * share);
    const Colour outer = mix(kGround, colour, 0.13 + variation + 0.12 * share);
    cairo_pattern_add_color_stop_rgb(glow, 0.0, inner.red, inner.green, inner.blue);
    cairo_pattern_add_color_stop_rgb(glow, 1.0, outer.red, outer.green, outer.blue);
    cairo_set_source(context_, glow);
    cairo_paint(context_);
    cairo_pattern_destroy(glow);
    outline();
    fill(kGround);
    cairo_set_line_width(context_, 4.0);
    cairo_set_line_join(context_, CAIRO_LINE_JOIN_ROUND);
    cairo_stroke(context_);
    cairo_restore(context_);
  }

  void draw_name(std::size_t index) {
    const Timbre& timbre = model_.sound().timbres[index];
    const Point place = on_map(timbre.place);
    const bool is_played = index == blend().timbre;
    fill(kInk);
    disc(place, 2.6);
    cairo_fill(context_);
    const std::string name = spaced(timbre.name);
    const auto width = static_cast<float>(width_of(name, 11.5, is_played)) + 14.0f;
    const Rect map = layout_.map;
    const float x = std::clamp(place.x - 0.5f * width, map.x + 4.0f, map.right() - width - 4.0f);
    const float y = place.y + 28.0f > map.bottom() ? place.y - 25.0f : place.y + 7.0f;
    round({x, y, width, 18.0f}, 9.0);
    is_played ? fill(kInk, 0.94) : fill(kGround, 0.72);
    cairo_fill(context_);
    text(name, {x + 0.5f * width, y + 13.0f}, Align::kCentre, 11.5, is_played ? kGround : kInk, 1e9,
         is_played);
  }

  void draw_point_lines() {
    const Blend now = blend();
    const Point at = on_map(model_.point());
    const auto line = [&](std::size_t timbre, double part) {
      if (part < 0.02) return;
      const Point end = on_map(model_.sound().timbres[timbre].place);
      fill(kInk, 0.85);
      cairo_set_line_cap(context_, CAIRO_LINE_CAP_ROUND);
      cairo_set_line_width(context_, 1.0 + 3.0 * part);
      cairo_move_to(context_, at.x, at.y);
      cairo_line_to(context_, end.x, end.y);
      cairo_stroke(context_);
    };
    if (!model_.map_is_on()) return;
    line(now.timbre, 1.0 - now.amount);
    line(now.other, now.amount);
  }

  void draw_point() {
    const Point at = on_map(model_.point());
    const bool is_on = model_.map_is_on();
    disc(at, 9.0);
    fill(kGround, is_on ? 1.0 : 0.6);
    cairo_fill_preserve(context_);
    fill(is_on ? kAccent : kSoft);
    cairo_set_line_width(context_, 3.0);
    cairo_stroke(context_);
    if (!is_on) return;
    disc(at, 4.0);
    fill(kAccent);
    cairo_fill(context_);
  }

  void draw_legend() {
    if (families_ == std::vector<std::string>{"other"}) return;  // no family is known
    float x = layout_.legend.x + 4.0f;
    const float y = layout_.legend.y;
    for (const std::string& family : families_) {
      disc({x + 4.0f, y + 8.0f}, 4.0);
      fill(colour_of(family));
      cairo_fill(context_);
      std::string name = family;
      std::ranges::replace(name, '_', ' ');
      text(name, {x + 13.0f, y + 12.0f}, Align::kLeft, 11.5, kSoft);
      x += 13.0f + static_cast<float>(width_of(name, 11.5)) + 16.0f;
    }
  }

  // Knobs.

  void draw_switch(Rect place, bool is_on, bool is_lit, double alpha = 1.0) {
    const float height = 18.0f;
    const Rect pill{place.centre().x - 17.0f, place.centre().y - 0.5f * height, 34.0f, height};
    round(pill, 0.5 * height);
    fill(is_on ? kAccent : is_lit ? mix(kLine, kSoft, 0.3) : kLine, alpha);
    cairo_fill(context_);
    disc({is_on ? pill.right() - 9.0f : pill.x + 9.0f, pill.centre().y}, 6.5);
    fill(is_on ? kGround : kSoft, alpha);
    cairo_fill(context_);
  }

  void draw_knob_card() {
    box(layout_.knob_card, 14.0, kCard, kLine);
    for (const Caption& caption : layout_.captions) {
      text(caption.text, caption.start, Align::kLeft, 12.0, kAccent, 1e9, true);
    }
    for (std::size_t i = 0; i < layout_.knobs.size(); ++i) draw_knob(i);
  }

  void draw_knob(std::size_t index) {
    const KnobPlace& place = layout_.knobs[index];
    const Control& control = *place.control;
    const double value = model_.value(control.parameter);
    const bool is_lit =
        model_.hovered() == Target{What::kKnob, index} || model_.is_dragged({What::kKnob, index});
    const double alpha = control.has_effect ? 1.0 : 0.35;
    if (control.kind == Kind::kSwitch) {
      draw_switch(place.dial, value >= 0.5, is_lit, alpha);
    } else {
      draw_dial(place.dial, control, static_cast<float>(value), is_lit, alpha);
    }
    const float x = place.cell.centre().x;
    const double widest = place.cell.width - 4.0;
    text(control.name, {x, place.dial.bottom() + 13.0f}, Align::kCentre, 12.0, kInk, widest, false,
         alpha);
    text(control.text_of(static_cast<float>(value), model_.sound().timbres),
         {x, place.dial.bottom() + 28.0f}, Align::kCentre, 11.0, is_lit ? kAccent : kSoft, widest,
         false, alpha);
  }

  static double angle_of(double position) { return (position - 0.5) * kSweep - 0.5 * kPi; }

  void draw_dial(Rect place, const Control& control, float value, bool is_lit, double alpha) {
    const Point c = place.centre();
    const double radius = 0.5 * place.width - 3.0;
    const double position = control.position_of(value);
    const double zero = control.lowest < 0.0f ? control.position_of(0.0f) : 0.0;
    cairo_set_line_cap(context_, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_width(context_, 3.6);
    fill(kLine, alpha);
    cairo_new_sub_path(context_);
    cairo_arc(context_, c.x, c.y, radius, angle_of(0.0), angle_of(1.0));
    cairo_stroke(context_);
    const auto [from, to] = std::minmax(position, zero);
    if (to - from > 0.003) {
      fill(kAccent, alpha);
      cairo_new_sub_path(context_);
      cairo_arc(context_, c.x, c.y, radius, angle_of(from), angle_of(to));
      cairo_stroke(context_);
    }
    disc(c, 0.64 * radius);
    fill(is_lit ? mix(kGround, kLine, 0.8) : kGround, alpha);
    cairo_fill_preserve(context_);
    fill(kLine, alpha);
    cairo_set_line_width(context_, 1.0);
    cairo_stroke(context_);
    const double angle = angle_of(position);
    fill(kInk, alpha);
    cairo_set_line_width(context_, 2.4);
    cairo_move_to(context_, c.x + 0.28 * radius * std::cos(angle),
                  c.y + 0.28 * radius * std::sin(angle));
    cairo_line_to(context_, c.x + 0.54 * radius * std::cos(angle),
                  c.y + 0.54 * radius * std::sin(angle));
    cairo_stroke(context_);
  }

  // Keyboard.

  void draw_button(Rect place, const char* sign, What what) {
    box(place, 8.0, kCard, is_hovered(what) ? kSoft : kLine);
    text(sign, {place.centre().x, place.centre().y + 5.0f}, Align::kCentre, 15.0, kInk);
  }

  void draw_keyboard() {
    box(layout_.keyboard_card, 14.0, kCard, kLine);
    draw_button(layout_.octave_up, "+", What::kOctaveUp);
    draw_button(layout_.octave_down, "−", What::kOctaveDown);
    const Sound& sound = model_.sound();
    for (const Key& key : layout_.keys) {
      const bool is_held = model_.is_held(key.pitch);
      const bool is_trained = !sound.plays_notes ||
                              (key.pitch >= sound.lowest_pitch && key.pitch <= sound.highest_pitch);
      Rect place = key.place;
      if (!key.is_black) place = {place.x + 0.5f, place.y, place.width - 1.0f, place.height};
      Colour colour = key.is_black ? kBlackKey : kWhiteKey;
      if (!is_trained) colour = mix(colour, kCard, key.is_black ? 0.3 : 0.62);
      if (is_held) colour = kAccent;
      round(place, key.is_black ? 3.0 : 4.0);
      fill(colour);
      cairo_fill(context_);
      if (key.is_black) {
        round(place.inset(0.5f), 3.0);
        fill(hex(0x08090b));
        cairo_set_line_width(context_, 1.0);
        cairo_stroke(context_);
      } else if (key.pitch % 12 == 0) {
        text("C" + std::to_string(key.pitch / 12 - 1), {place.centre().x, place.bottom() - 8.0f},
             Align::kCentre, 10.5, is_held ? kGround : hex(0x5d6066), 1e9, true);
      }
    }
  }

  // Menu.

  void draw_menu() {
    const Menu& menu = model_.menu();
    box(menu.box, 10.0, mix(kCard, kLine, 0.5), mix(kLine, kSoft, 0.35));
    for (std::size_t i = 0; i < menu.items.size(); ++i) {
      const Rect place = menu.place_of(i);
      if (place.width == 0.0f) continue;
      const bool is_lit = model_.hovered() == Target{What::kMenuItem, i};
      if (is_lit) {
        round(place, 6.0);
        fill(kAccent);
        cairo_fill(context_);
      }
      const bool is_chosen = i == menu.chosen;
      text(spaced(menu.items[i]), {place.x + 10.0f, place.y + 17.0f}, Align::kLeft, 12.5,
           is_lit      ? kGround
           : is_chosen ? kAccent
                       : kInk,
           place.width - 16.0, is_chosen);
    }
  }

  cairo_t* context_;
  const Model& model_;
  const Layout& layout_;
  std::vector<std::string> families_;
};

}  // namespace

void paint(cairo_t* context, const Model& model) { Painter(context, model).draw(); }

}  // namespace audiogen::plugin::editor

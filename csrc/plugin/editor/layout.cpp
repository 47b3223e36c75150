// Computes the layout: header, map, knobs in rows of sections, keyboard, footer.
#include "plugin/editor/layout.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace audiogen::plugin::editor {

static constexpr float kMargin = 16.0f;
static constexpr float kPadding = 14.0f;
static constexpr float kHeader = 60.0f;
static constexpr float kFooter = 30.0f;
static constexpr float kTitle = 30.0f;  // of a card
static constexpr float kLegend = 24.0f;
static constexpr float kKeyboard = 118.0f;
static constexpr std::size_t kColumns = 6;
static constexpr float kCellWidth = 86.0f;
static constexpr float kCaption = 22.0f;
static constexpr float kHighestRow = 140.0f;
static constexpr float kLowestCell = 62.0f, kHighestCell = 84.0f;
static constexpr float kTexts = 32.0f;  // name and value below a dial
static constexpr float kWhiteKey = 26.0f;
static constexpr float kOctaveButtons = 46.0f;

int n_octaves(float width) {
  return std::clamp(static_cast<int>(width / (7.0f * kWhiteKey)), 2, 9);
}

static Chooser chooser_at(float x, float y, float width) {
  constexpr float kArrow = 26.0f, kChooserHeight = 30.0f;
  return {{x, y, kArrow, kChooserHeight},
          {x + kArrow, y, width - 2.0f * kArrow, kChooserHeight},
          {x + width - kArrow, y, kArrow, kChooserHeight}};
}

// A section that does not fit into the rest of a row begins the next row.
static void place_knobs(Layout& layout, const std::vector<Section>& sections) {
  struct Place {
    std::size_t row, column;
    const Control* control;
    const std::string* title;  // of the section that begins here, or null
  };
  std::vector<Place> places;
  std::size_t row = 0, column = 0;
  for (const Section& section : sections) {
    const std::size_t n = section.controls.size();
    if (column > 0 && column + std::min(n, kColumns) > kColumns) {
      ++row;
      column = 0;
    }
    for (std::size_t i = 0; i < n; ++i) {
      if (column == kColumns) {
        ++row;
        column = 0;
      }
      places.push_back({row, column++, &section.controls[i], i == 0 ? &section.title : nullptr});
    }
  }
  if (places.empty()) return;
  const Rect area = layout.knob_card.inset(kPadding);
  const auto n_rows = static_cast<float>(places.back().row + 1);
  const float row_height = std::min(area.height / n_rows, kHighestRow);
  const float height = std::clamp(row_height - kCaption, kLowestCell, kHighestCell);
  const float width = area.width / static_cast<float>(kColumns);
  for (const Place& place : places) {
    const float x = area.x + width * static_cast<float>(place.column);
    const float y = area.y + row_height * static_cast<float>(place.row);
    if (place.title) layout.captions.push_back({*place.title, {x + 8.0f, y + 11.0f}});
    const Rect cell{x, y + kCaption, width, height};
    const float size = std::min(cell.height - kTexts, 50.0f);
    layout.knobs.push_back(
        {place.control, cell, {cell.centre().x - 0.5f * size, cell.y, size, size}});
  }
}

static void place_keys(Layout& layout, Rect area, int first_octave) {
  constexpr int kWhite[] = {0, 2, 4, 5, 7, 9, 11};
  constexpr int kBlack[] = {1, 3, -1, 6, 8, 10, -1};  // after each white key
  const int octaves = n_octaves(area.width);
  const int n_white = 7 * octaves + 1;
  const float width = area.width / static_cast<float>(n_white);
  const auto pitch_of = [&](int octave, int step) {
    return 12 * (first_octave + octave + 1) + step;
  };
  for (int i = 0; i < n_white; ++i) {
    const Rect place{area.x + width * static_cast<float>(i), area.y, width, area.height};
    layout.keys.push_back({pitch_of(i / 7, kWhite[i % 7]), false, place});
  }
  for (int i = 0; i + 1 < n_white; ++i) {
    if (kBlack[i % 7] < 0) continue;
    const float x = area.x + width * (static_cast<float>(i) + 0.69f);
    layout.keys.push_back(
        {pitch_of(i / 7, kBlack[i % 7]), true, {x, area.y, 0.62f * width, 0.61f * area.height}});
  }
  std::erase_if(layout.keys, [](const Key& key) { return key.pitch < 0 || key.pitch > 127; });
}

Layout make_layout(float width, float height, const std::vector<Section>& sections,
                   int first_octave) {
  Layout layout;
  layout.window = {0.0f, 0.0f, width, height};
  const float inner = width - 2.0f * kMargin;
  layout.preset = chooser_at(kMargin + 126.0f, 15.0f, 214.0f);
  layout.timbre = chooser_at(layout.preset.next.right() + 12.0f, 15.0f, 266.0f);
  layout.meter = {width - kMargin - 180.0f, 22.0f, 180.0f, 16.0f};
  layout.footer = {kMargin, height - kFooter, inner, kFooter};
  layout.keyboard_card = {kMargin, height - kFooter - kKeyboard, inner, kKeyboard};
  const float middle = layout.keyboard_card.y - kMargin - kHeader;
  const float knobs = kCellWidth * static_cast<float>(kColumns) + 2.0f * kPadding;
  layout.map_card = {kMargin, kHeader, inner - knobs - kMargin, middle};
  layout.map = layout.map_card.inset(kPadding);
  layout.map.y += kTitle - 4.0f;
  layout.map.height -= kTitle - 4.0f + kLegend;
  layout.legend = {layout.map.x, layout.map.bottom() + 8.0f, layout.map.width, kLegend - 8.0f};
  layout.map_switch = {layout.map_card.x + kPadding + 104.0f, layout.map_card.y + 12.0f, 34.0f,
                       18.0f};
  layout.knob_card = {layout.map_card.right() + kMargin, kHeader, knobs, middle};
  place_knobs(layout, sections);

  const Rect board = layout.keyboard_card.inset(10.0f);
  const float button = 0.5f * (board.height - 8.0f);
  layout.octave_up = {board.x, board.y, kOctaveButtons - 12.0f, button};
  layout.octave_down = {board.x, board.bottom() - button, kOctaveButtons - 12.0f, button};
  place_keys(layout,
             {board.x + kOctaveButtons, board.y, board.width - kOctaveButtons, board.height},
             first_octave);
  return layout;
}

}  // namespace audiogen::plugin::editor

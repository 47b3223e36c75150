// Points and rectangles of the editor, in pixels before scaling; y points down.
#pragma once

namespace audiogen::plugin::editor {

struct Point {
  float x = 0.0f, y = 0.0f;
};

struct Rect {
  float x = 0.0f, y = 0.0f, width = 0.0f, height = 0.0f;

  float right() const { return x + width; }
  float bottom() const { return y + height; }
  Point centre() const { return {x + 0.5f * width, y + 0.5f * height}; }
  bool contains(Point point) const {
    return point.x >= x && point.x < right() && point.y >= y && point.y < bottom();
  }
  Rect inset(float by) const { return {x + by, y + by, width - 2.0f * by, height - 2.0f * by}; }
};

}  // namespace audiogen::plugin::editor

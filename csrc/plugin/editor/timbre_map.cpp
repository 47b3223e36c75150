// Cuts the cells along bisectors; finds the nearest timbres.
#include "plugin/editor/timbre_map.h"

#include <cmath>
#include <utility>

namespace audiogen::plugin::editor {

std::vector<Point> cell_of(const std::vector<Timbre>& timbres, std::size_t index, Rect map) {
  const auto on_map = [&](Point place) {
    return Point{map.x + place.x * map.width, map.y + place.y * map.height};
  };
  std::vector<Point> corners = {
      {map.x, map.y}, {map.right(), map.y}, {map.right(), map.bottom()}, {map.x, map.bottom()}};
  const Point own = on_map(timbres[index].place);
  for (std::size_t j = 0; j < timbres.size(); ++j) {
    if (j == index) continue;
    const Point other = on_map(timbres[j].place);
    // Negative on this place's side of the bisector.
    const auto side = [&](Point p) {
      return (p.x - 0.5f * (own.x + other.x)) * (other.x - own.x) +
             (p.y - 0.5f * (own.y + other.y)) * (other.y - own.y);
    };
    std::vector<Point> kept;
    for (std::size_t k = 0; k < corners.size(); ++k) {
      const Point a = corners[k], b = corners[(k + 1) % corners.size()];
      const float side_a = side(a), side_b = side(b);
      if (side_a <= 0.0f) kept.push_back(a);
      if ((side_a <= 0.0f) != (side_b <= 0.0f)) {
        const float t = side_a / (side_a - side_b);
        kept.push_back({a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)});
      }
    }
    corners = std::move(kept);
  }
  return corners;
}

Blend blend_at(const std::vector<Timbre>& timbres, Point place) {
  const auto distance = [&](std::size_t i) {
    return std::hypot(timbres[i].place.x - place.x, timbres[i].place.y - place.y);
  };
  const auto nearest = [&](std::size_t except) {
    std::size_t best = except;
    for (std::size_t i = 0; i < timbres.size(); ++i) {
      if (i != except && (best == except || distance(i) < distance(best))) best = i;
    }
    return best;
  };
  if (timbres.empty()) return {};
  Blend blend;
  blend.timbre = nearest(timbres.size());
  blend.other = nearest(blend.timbre);
  const float sum = distance(blend.timbre) + distance(blend.other);
  if (blend.other != blend.timbre && sum > 0.0f) blend.amount = distance(blend.timbre) / sum;
  return blend;
}

}  // namespace audiogen::plugin::editor

// The timbre map: cells of the timbres, and which timbres a position plays.
#pragma once

#include <cstddef>
#include <vector>

#include "plugin/editor/geometry.h"
#include "plugin/editor/sound.h"

namespace audiogen::plugin::editor {

// The region of a rectangle that is nearer to one place than to all others (Voronoi), as a convex
// polygon; places are 0 .. 1 in both directions. Empty for a place that another one hides.
std::vector<Point> cell_of(const std::vector<Timbre>& timbres, std::size_t index, Rect map);

// The engine's timbres at a position of the map: the nearest one, morphed towards the second
// nearest in proportion to the distances.
struct Blend {
  std::size_t timbre = 0;
  std::size_t other = 0;
  float amount = 0.0f;  // of the other one, 0 .. 0.5
};
Blend blend_at(const std::vector<Timbre>& timbres, Point place);

}  // namespace audiogen::plugin::editor

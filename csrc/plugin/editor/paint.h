// Draws the editor with cairo.
#pragma once

#include <cairo/cairo.h>

#include "plugin/editor/model.h"

namespace audiogen::plugin::editor {

// Draws the whole window; one unit of the context is a pixel before scaling.
void paint(cairo_t* context, const Model& model);

}  // namespace audiogen::plugin::editor

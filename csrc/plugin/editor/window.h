// An X11 window that shows a model of the editor, in a host's window or by itself.
#pragma once

#include <memory>

#include "plugin/editor/model.h"

namespace audiogen::plugin::editor {

class Window {
 public:
  // `parent` is the host's window; 0 for a window of its own, which is hidden at first. `scale` is
  // the size of a pixel of the model on the screen; 0: that of the display. `model` must outlive
  // the window. Throws std::runtime_error if there is no display.
  Window(unsigned long parent, double scale, Model& model);
  ~Window();

  unsigned long id() const;
  int width() const;
  int height() const;
  void resize(int width, int height);
  void show(bool is_visible);
  // Handles all events and draws; call it about 30 times per second. Returns false once the user
  // or the host has closed the window.
  bool idle();

 private:
  struct Display;
  std::unique_ptr<Display> display_;
};

}  // namespace audiogen::plugin::editor

// The library of the VST3 bundle that holds the window; the plug-in loads it when a host shows it.
#include <exception>

#include "plugin/editor/editor.h"

using audiogen::plugin::editor::Editor;
using audiogen::plugin::editor::Receiver;

extern "C" __attribute__((visibility("default"))) Editor* audiogen_open_editor(const char* folder,
                                                                               Receiver* receiver,
                                                                               unsigned long parent,
                                                                               double scale) {
  try {
    return audiogen::plugin::editor::open_editor({folder}, *receiver, parent, scale).release();
  } catch (const std::exception&) {  // no display
    return nullptr;
  }
}

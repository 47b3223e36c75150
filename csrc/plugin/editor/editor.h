// The editor's interface for the plug-in formats: no X11 or cairo headers, and one function to open
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "plugin/editor/receiver.h"

namespace audiogen::plugin::editor {

class Editor {
 public:
  virtual ~Editor() = default;

  // Show what the plug-in plays; these send nothing to the receiver.
  virtual void show_preset(const std::string& name) = 0;
  virtual void show_parameter(std::size_t index, float value) = 0;
  virtual void show_timbre(int index) = 0;  // -1: the preset's default
  // Keys that the host holds: bit k of a word is pitch k, or 64 + k.
  virtual void show_keys(std::uint64_t low, std::uint64_t high) = 0;
  virtual void show_level(std::size_t channel, float peak) = 0;
  // Whether the preset is missing or damaged, and the plug-in therefore silent.
  virtual void show_missing(bool is_missing) = 0;

  // The window. `idle` handles its events and draws; it is called about 30 times per second, and
  // returns false once the window has been closed.
  virtual unsigned long window() const = 0;
  virtual int width() const = 0;
  virtual int height() const = 0;
  virtual void resize(int width, int height) = 0;
  virtual void show(bool is_visible) = 0;
  virtual bool idle() = 0;
};

// `folders` are searched for presets; `parent` and `scale` are those of `Window`. Throws
// std::runtime_error if there is no display.
std::unique_ptr<Editor> open_editor(const std::vector<std::string>& folders, Receiver& receiver,
                                    unsigned long parent, double scale);

// The only symbol of the library audiogen_editor.so of the VST3 bundle: as `open_editor`, with one
// folder; null if there is no display.
using OpenEditor = Editor*(const char* folder, Receiver* receiver, unsigned long parent,
                           double scale);
inline constexpr const char* kOpenEditor = "audiogen_open_editor";

// The size of the window at a scale of 1.
inline constexpr int kUsualWidth = 1060, kUsualHeight = 720;

}  // namespace audiogen::plugin::editor

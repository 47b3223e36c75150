// Messages from the editor to the plug-in; each plug-in format sends them in its own way.
#pragma once

#include <cstddef>
#include <string>

namespace audiogen::plugin::editor {

class Receiver {
 public:
  virtual ~Receiver() = default;
  // A gesture lasts from `begin` to `end`: hosts record automation between them.
  virtual void begin(std::size_t parameter) = 0;
  virtual void set(std::size_t parameter, float value) = 0;
  virtual void end(std::size_t parameter) = 0;
  virtual void choose_preset(const std::string& name) = 0;
  virtual void choose_timbre(int index) = 0;
  virtual void note_on(int pitch, float velocity) = 0;
  virtual void note_off(int pitch) = 0;
};

}  // namespace audiogen::plugin::editor

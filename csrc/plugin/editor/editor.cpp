// Connects the presets, the model and the window.
#include "plugin/editor/editor.h"

#include <optional>
#include <utility>

#include "capi/audiogen.h"
#include "plugin/editor/model.h"
#include "plugin/editor/sound.h"
#include "plugin/editor/window.h"

namespace audiogen::plugin::editor {

static_assert(kUsualWidth == kWidth && kUsualHeight == kHeight);

static std::vector<audiogen_parameter> parameter_table() {
  std::vector<audiogen_parameter> rows;
  for (std::size_t i = 0; i < audiogen_n_parameters(); ++i) {
    rows.push_back(*audiogen_parameter_info(i));
  }
  return rows;
}

namespace {

class OpenedEditor final : public Editor {
 public:
  OpenedEditor(const std::vector<std::string>& folders, Receiver& receiver, unsigned long parent,
               double scale)
      : catalogue_(folders), model_(parameter_table(), receiver), window_(parent, scale, model_) {
    model_.show_presets(catalogue_.names());
  }
  // A note or a gesture that the mouse holds ends with the window.
  ~OpenedEditor() override { model_.release(); }

  void show_preset(const std::string& name) override {
    if (name == model_.sound().preset) return;
    if (std::optional<Sound> sound = catalogue_.open(name)) {
      model_.show_sound(std::move(*sound));
    } else {
      model_.show_message("The preset " + name + " cannot be shown.");
    }
  }
  void show_parameter(std::size_t index, float value) override {
    model_.show_parameter(index, value);
  }
  void show_timbre(int index) override { model_.show_timbre(index); }
  void show_keys(std::uint64_t low, std::uint64_t high) override { model_.show_keys(low, high); }
  void show_level(std::size_t channel, float peak) override { model_.show_level(channel, peak); }
  void show_missing(bool is_missing) override {
    model_.show_message(is_missing ? "The preset of the project is missing or damaged: the plug-in "
                                     "is silent until another preset is chosen."
                                   : "");
  }

  unsigned long window() const override { return window_.id(); }
  int width() const override { return window_.width(); }
  int height() const override { return window_.height(); }
  void resize(int width, int height) override { window_.resize(width, height); }
  void show(bool is_visible) override { window_.show(is_visible); }
  bool idle() override { return window_.idle(); }

 private:
  Catalogue catalogue_;
  Model model_;
  Window window_;
};

}  // namespace

std::unique_ptr<Editor> open_editor(const std::vector<std::string>& folders, Receiver& receiver,
                                    unsigned long parent, double scale) {
  return std::make_unique<OpenedEditor>(folders, receiver, parent, scale);
}

}  // namespace audiogen::plugin::editor

// A VST3 host for tests, with what the Python packages' hosts leave out: note expression.
//
//   vst3_host LIBRARY SAMPLES BLOCK < script > samples.f32
//
// LIBRARY is the shared library in the bundle. Renders offline at 48 kHz. A line of the script is a
// sample, a word and its values: `on` and `off` have a note id and a pitch, `express` a note id,
// the number of a type of note expression and its value, `press` a pitch and its pressure, `set`
// the number of a parameter and its value, 0 to 1; `wait` waits before its block until the
// plug-in's latency isn't the first one any more:
//   0 on 1 60
//   4800 express 1 2 0.525
//   9600 off 1 60
// Standard error has the latency in samples, at first and whenever the plug-in says that it has
// changed, the types of note expression that it lists, and the type of each physical control.
// Build: c++ -std=c++17 vst3_host.cpp with the SDK's libraries.
#include <pluginterfaces/vst/ivstnoteexpression.h>
#include <pluginterfaces/vst/ivstphysicalui.h>
#include <public.sdk/source/vst/hosting/parameterchanges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "vst3_host.h"

using namespace vst3_host;

static void print_expressions(IEditController& controller) {
  const auto expression = find<INoteExpressionController>(&controller, "INoteExpressionController");
  for (int32 i = 0; i < expression->getNoteExpressionCount(0, 0); ++i) {
    NoteExpressionTypeInfo info;
    require(expression->getNoteExpressionInfo(0, 0, i, info) == kResultOk, "getNoteExpressionInfo");
    std::string title;
    for (const TChar* c = info.title; *c; ++c) title += static_cast<char>(*c);
    std::fprintf(stderr, "type %u %s %g\n", info.typeId, title.c_str(),
                 info.valueDesc.defaultValue);
  }
  const auto mapping =
      find<INoteExpressionPhysicalUIMapping>(&controller, "INoteExpressionPhysicalUIMapping");
  PhysicalUIMap maps[] = {{kPUIXMovement, 0}, {kPUIYMovement, 0}, {kPUIPressure, 0}};
  PhysicalUIMapList list{3, maps};
  require(mapping->getPhysicalUIMapping(0, 0, list) == kResultOk, "getPhysicalUIMapping");
  for (const PhysicalUIMap& map : maps) {
    std::fprintf(stderr, "physical %u %u\n", map.physicalUITypeID, map.noteExpressionTypeID);
  }
}

// Prints the latency when the plug-in says that it has changed.
class Handler final : public IComponentHandler {
 public:
  explicit Handler(IAudioProcessor& processor) : processor_(processor) {}
  tresult PLUGIN_API beginEdit(ParamID) override { return kResultOk; }
  tresult PLUGIN_API performEdit(ParamID, ParamValue) override { return kResultOk; }
  tresult PLUGIN_API endEdit(ParamID) override { return kResultOk; }
  tresult PLUGIN_API restartComponent(int32 flags) override {
    if (flags & kLatencyChanged) print_latency(processor_);
    return kResultOk;
  }
  tresult PLUGIN_API queryInterface(const TUID, void** object) override {
    *object = nullptr;
    return kNoInterface;
  }
  uint32 PLUGIN_API addRef() override { return 1; }
  uint32 PLUGIN_API release() override { return 1; }

  static void print_latency(IAudioProcessor& processor) {
    std::fprintf(stderr, "latency %u\n", processor.getLatencySamples());
  }

 private:
  IAudioProcessor& processor_;
};

// As a host does: values that the processor reports reach the controller.
static void pass_on(ParameterChanges& reported, IEditController& controller) {
  for (int32 i = 0; i < reported.getParameterCount(); ++i) {
    IParamValueQueue* queue = reported.getParameterData(i);
    int32 offset = 0;
    ParamValue value = 0.0;
    queue->getPoint(queue->getPointCount() - 1, offset, value);
    controller.setParamNormalized(queue->getParameterId(), value);
  }
}

static void wait_for_another_latency(IAudioProcessor& processor, uint32 before) {
  for (int ms = 0; ms < 20'000 && processor.getLatencySamples() == before; ++ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  require(processor.getLatencySamples() != before, "waiting for another latency");
}

struct Change {
  int at;
  ParamID id;
  ParamValue value;
};

static std::vector<Event> read_script(std::vector<Change>& changes, std::vector<int>& waits) {
  std::vector<Event> script;
  int at = 0;
  char word[16];
  double a = 0, b = 0, c = 0;
  char line[256];
  while (std::fgets(line, sizeof(line), stdin)) {
    const int n = std::sscanf(line, "%d %15s %lf %lf %lf", &at, word, &a, &b, &c);
    if (n == 2 && std::string(word) == "wait") waits.push_back(at);
    if (n < 4) continue;
    Event event = {};
    event.sampleOffset = at;
    const std::string kind = word;
    if (kind == "on") {
      event = note_on(static_cast<int32>(a), static_cast<int16>(b), at);
    } else if (kind == "off") {
      event = note_off(static_cast<int32>(a), static_cast<int16>(b), at);
    } else if (kind == "set") {
      changes.push_back({at, static_cast<ParamID>(a), b});
      continue;
    } else if (kind == "express") {
      event.type = Event::kNoteExpressionValueEvent;
      event.noteExpressionValue = {static_cast<NoteExpressionTypeID>(b), static_cast<int32>(a), c};
    } else {
      event.type = Event::kPolyPressureEvent;
      event.polyPressure = {0, static_cast<int16>(a), static_cast<float>(b), -1};
    }
    script.push_back(event);
  }
  return script;
}

int main(int n_arguments, char** arguments) {
  require(n_arguments == 4, "reading the arguments");
  const int n_samples = std::atoi(arguments[2]), block = std::atoi(arguments[3]);
  Plugin plugin(arguments[1]);
  print_expressions(*plugin.controller);
  plugin.activate(block);
  const uint32 first_latency = plugin.processor->getLatencySamples();
  Handler::print_latency(*plugin.processor);
  Handler handler(*plugin.processor);
  plugin.controller->setComponentHandler(&handler);

  std::vector<Change> changes;
  std::vector<int> waits;
  const std::vector<Event> script = read_script(changes, waits);
  EventList events(1024);
  std::size_t next = 0, next_change = 0, next_wait = 0;
  for (int done = 0; done < n_samples; done += block) {
    const int n = std::min(block, n_samples - done);
    events.clear();
    for (; next < script.size() && script[next].sampleOffset < done + n; ++next) {
      Event event = script[next];
      event.sampleOffset -= done;
      events.addEvent(event);
    }
    ParameterChanges now(64);
    for (; next_change < changes.size() && changes[next_change].at < done + n; ++next_change) {
      const Change& change = changes[next_change];
      int32 index = 0;
      now.addParameterData(change.id, index)->addPoint(change.at - done, change.value, index);
    }
    for (; next_wait < waits.size() && waits[next_wait] < done + n; ++next_wait) {
      wait_for_another_latency(*plugin.processor, first_latency);
    }
    ParameterChanges reported(64);
    plugin.process(n, &events, &now, &reported);
    pass_on(reported, *plugin.controller);
    for (int i = 0; i < n; ++i) {
      const float frame[] = {plugin.left[i], plugin.right[i]};
      std::fwrite(frame, sizeof(float), 2, stdout);
    }
  }
  plugin.controller->setComponentHandler(nullptr);
  return 0;
}

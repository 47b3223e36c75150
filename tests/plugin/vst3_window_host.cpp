// A VST3 host for tests that shows the plug-in's window and plays it meanwhile.
//
//   vst3_window_host LIBRARY SCALE
//
// LIBRARY is the shared library in the bundle; SCALE is the content scale, or 0 for none. Lines of
// standard input are commands: `set ID VALUE` shows a parameter, `resize WIDTH HEIGHT` resizes the
// window, `reopen` closes the view and opens another one, `drop` does so without calling `removed`,
// `on PITCH` and `off PITCH` play a note, `quit` ends. Standard output has the size
// of the window, gestures on parameters (`begin ID`, `perform ID VALUE`, `end ID`), parameters that
// the processor sets (`output ID VALUE`), and `sound` and `silence` when either begins. Build: c++
// -std=c++17 vst3_window_host.cpp with the SDK's libraries and X11.
#include <X11/Xlib.h>
#include <fcntl.h>
#include <pluginterfaces/gui/iplugview.h>
#include <pluginterfaces/gui/iplugviewcontentscalesupport.h>
#include <pluginterfaces/vst/ivstmessage.h>
#include <public.sdk/source/vst/hosting/parameterchanges.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "vst3_host.h"

using namespace vst3_host;

// Prints gestures, and passes their values on to the processor.
class Handler final : public IComponentHandler {
 public:
  explicit Handler(ParameterChanges& changes) : changes_(changes) {}
  tresult PLUGIN_API beginEdit(ParamID id) override {
    std::printf("begin %u\n", id);
    return kResultOk;
  }
  tresult PLUGIN_API performEdit(ParamID id, ParamValue value) override {
    std::printf("perform %u %.6f\n", id, value);
    int32 index = 0;
    if (IParamValueQueue* queue = changes_.addParameterData(id, index)) {
      queue->addPoint(0, value, index);
    }
    return kResultOk;
  }
  tresult PLUGIN_API endEdit(ParamID id) override {
    std::printf("end %u\n", id);
    return kResultOk;
  }
  tresult PLUGIN_API restartComponent(int32) override { return kResultOk; }
  tresult PLUGIN_API queryInterface(const TUID iid, void** object) override {
    QUERY_INTERFACE(iid, object, FUnknown::iid, IComponentHandler)
    QUERY_INTERFACE(iid, object, IComponentHandler::iid, IComponentHandler)
    *object = nullptr;
    return kNoInterface;
  }
  uint32 PLUGIN_API addRef() override { return 1; }
  uint32 PLUGIN_API release() override { return 1; }

 private:
  ParameterChanges& changes_;
};

// The frame of the view, with the run loop of its timers.
class Frame final : public IPlugFrame, public Linux::IRunLoop {
 public:
  tresult PLUGIN_API resizeView(IPlugView* view, ViewRect* size) override {
    std::printf("resize %d %d\n", size->getWidth(), size->getHeight());
    return view->onSize(size);
  }
  tresult PLUGIN_API registerEventHandler(Linux::IEventHandler*, Linux::FileDescriptor) override {
    return kResultOk;
  }
  tresult PLUGIN_API unregisterEventHandler(Linux::IEventHandler*) override { return kResultOk; }
  tresult PLUGIN_API registerTimer(Linux::ITimerHandler* handler, Linux::TimerInterval) override {
    timers.push_back(handler);
    return kResultOk;
  }
  tresult PLUGIN_API unregisterTimer(Linux::ITimerHandler* handler) override {
    for (std::size_t i = 0; i < timers.size(); ++i) {
      if (timers[i] == handler) timers.erase(timers.begin() + static_cast<std::ptrdiff_t>(i--));
    }
    return kResultOk;
  }
  tresult PLUGIN_API queryInterface(const TUID iid, void** object) override {
    QUERY_INTERFACE(iid, object, FUnknown::iid, IPlugFrame)
    QUERY_INTERFACE(iid, object, IPlugFrame::iid, IPlugFrame)
    QUERY_INTERFACE(iid, object, Linux::IRunLoop::iid, Linux::IRunLoop)
    *object = nullptr;
    return kNoInterface;
  }
  uint32 PLUGIN_API addRef() override { return 1; }
  uint32 PLUGIN_API release() override { return 1; }

  std::vector<Linux::ITimerHandler*> timers;
};

static IPlugView* open_view(IEditController& controller, Frame& frame, Window window,
                            double scale) {
  IPlugView* view = controller.createView(ViewType::kEditor);
  require(view != nullptr, "createView");
  require(view->isPlatformTypeSupported(kPlatformTypeX11EmbedWindowID) == kResultTrue,
          "isPlatformTypeSupported");
  IPlugViewContentScaleSupport* scaling = nullptr;
  if (scale > 0.0 && view->queryInterface(IPlugViewContentScaleSupport::iid,
                                          reinterpret_cast<void**>(&scaling)) == kResultOk) {
    scaling->setContentScaleFactor(static_cast<float>(scale));
    scaling->release();
  }
  require(view->removed() != kResultOk, "a view that is not attached is not removed");
  view->setFrame(&frame);
  ViewRect size;
  view->getSize(&size);
  std::printf("size %d %d\n", size.getWidth(), size.getHeight());
  require(
      view->attached(reinterpret_cast<void*>(window), kPlatformTypeX11EmbedWindowID) == kResultOk,
      "attached");
  require(
      view->attached(reinterpret_cast<void*>(window), kPlatformTypeX11EmbedWindowID) != kResultOk,
      "a second call of attached");
  require(frame.timers.size() == 1, "registerTimer");
  return view;
}

static void close_view(IPlugView* view, Frame& frame) {
  require(view->removed() == kResultOk, "removed");
  require(frame.timers.empty(), "unregisterTimer");
  view->setFrame(nullptr);
  require(view->release() == 0, "release of the view");
}

int main(int n_arguments, char** arguments) {
  require(n_arguments == 3, "reading the arguments");
  const double scale = std::atof(arguments[2]);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
  Display* display = XOpenDisplay(nullptr);
  require(display != nullptr, "XOpenDisplay");
  const Window window =
      XCreateSimpleWindow(display, DefaultRootWindow(display), 0, 0, 2200, 1500, 0, 0, 0);
  XMapWindow(display, window);
  XSync(display, 0);
  {
    Plugin plugin(arguments[1]);
    ParameterChanges changes(64), outputs(64);
    EventList events(64);
    Handler handler(changes);
    Frame frame;
    IEditController* const controller = plugin.controller;
    controller->setComponentHandler(&handler);
    const FUnknownPtr<IConnectionPoint> from(controller), to(plugin.component);
    require(from && to, "IConnectionPoint");
    from->connect(to);
    to->connect(from);
    constexpr int32 kBlock = 480;
    plugin.activate(kBlock);

    IPlugView* view = open_view(*controller, frame, window, scale);
    std::string text;
    bool is_sounding = false;
    for (bool quit = false; !quit; usleep(10'000)) {
      for (Linux::ITimerHandler* timer : std::vector(frame.timers)) timer->onTimer();
      plugin.process(kBlock, &events, &changes, &outputs);
      events.clear();
      changes.clearQueue();
      for (int32 i = 0; i < outputs.getParameterCount(); ++i) {
        IParamValueQueue* queue = outputs.getParameterData(i);
        int32 offset = 0;
        ParamValue value = 0.0;
        queue->getPoint(queue->getPointCount() - 1, offset, value);
        controller->setParamNormalized(queue->getParameterId(), value);
        std::printf("output %u %.6f\n", queue->getParameterId(), value);
      }
      outputs.clearQueue();
      float peak = 0.0f;
      for (const float sample : plugin.left) peak = std::max(peak, std::abs(sample));
      if ((peak > 1e-3f) != is_sounding) {
        is_sounding = !is_sounding;
        std::puts(is_sounding ? "sound" : "silence");
      }
      char bytes[256];
      const ssize_t n = read(0, bytes, sizeof(bytes));
      if (n == 0) break;
      if (n > 0) text.append(bytes, static_cast<std::size_t>(n));
      for (std::size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
        const std::string line = text.substr(0, end);
        double a = 0.0, b = 0.0;
        if (line == "quit") quit = true;
        if (line == "reopen") {
          close_view(view, frame);
          view = open_view(*controller, frame, window, scale);
        }
        if (line == "drop") {
          require(view->release() == 0 && frame.timers.empty(), "release of an attached view");
          view = open_view(*controller, frame, window, scale);
        }
        if (std::sscanf(line.c_str(), "on %lf", &a) == 1) {
          Event event = note_on(7, static_cast<int16>(a), 0);
          events.addEvent(event);
        }
        if (std::sscanf(line.c_str(), "off %lf", &a) == 1) {
          Event event = note_off(7, static_cast<int16>(a), 0);
          events.addEvent(event);
        }
        if (std::sscanf(line.c_str(), "set %lf %lf", &a, &b) == 2) {
          controller->setParamNormalized(static_cast<ParamID>(a), b);
        }
        if (std::sscanf(line.c_str(), "resize %lf %lf", &a, &b) == 2) {
          ViewRect size(0, 0, static_cast<int32>(a), static_cast<int32>(b));
          require(view->checkSizeConstraint(&size) == kResultTrue, "checkSizeConstraint");
          std::printf("constrained %d %d\n", size.getWidth(), size.getHeight());
          view->onSize(&size);
        }
      }
    }
    close_view(view, frame);
    from->disconnect(to);
    to->disconnect(from);
  }
  XCloseDisplay(display);
  std::puts("ended");
  return 0;
}

// Turns X11 events into mouse actions, and redraws a changed model.
#include "plugin/editor/window.h"

#include <X11/Xatom.h>
#include <X11/Xlib.h>
#include <X11/Xutil.h>
#include <cairo/cairo-xlib.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <stdexcept>

#include "plugin/editor/paint.h"

namespace audiogen::plugin::editor {

static constexpr double kLeastScale = 0.5, kMostScale = 4.0;
static constexpr double kUsualDpi = 96.0;

using Clock = std::chrono::steady_clock;

// While it exists, errors of one display are ignored: a host may destroy its window, and ours
// inside it, before we are created in it or while we draw. Otherwise Xlib would end the host's
// process.
class ErrorTrap {
 public:
  explicit ErrorTrap(::Display* display) {
    trapped_ = display;
    has_failed_ = false;
    former_ = XSetErrorHandler(&handle);
  }
  ~ErrorTrap() {
    XSync(trapped_, 0);
    XSetErrorHandler(former_);
    trapped_ = nullptr;
  }
  // Whether a request until now has failed.
  bool has_failed() const {
    XSync(trapped_, 0);
    return has_failed_;
  }

 private:
  static int handle(::Display* display, XErrorEvent* event) {
    has_failed_ = has_failed_ || display == trapped_;
    return display == trapped_ || !former_ ? 0 : former_(display, event);
  }
  static inline ::Display* trapped_ = nullptr;
  static inline bool has_failed_ = false;
  static inline XErrorHandler former_ = nullptr;
};

struct Window::Display {
  explicit Display(Model& shown) : model(shown) {}
  ~Display() {
    if (surface) {
      const ErrorTrap trap(display);
      cairo_surface_destroy(surface);
    }
    if (display) XCloseDisplay(display);  // which destroys the window
  }

  double scale() const {
    return std::min(width / static_cast<double>(kWidth), height / static_cast<double>(kHeight));
  }
  Point point(int x, int y) const {
    return {static_cast<float>(x / scale()), static_cast<float>(y / scale())};
  }

  void set_size(int new_width, int new_height) {
    width = std::max(new_width, 1);
    height = std::max(new_height, 1);
    cairo_xlib_surface_set_size(surface, width, height);
    model.resize(static_cast<float>(width / scale()), static_cast<float>(height / scale()));
  }

  void handle(const XEvent& event) {
    switch (event.type) {
      case ButtonPress:
      case ButtonRelease:
        return handle_button(event.xbutton, event.type == ButtonPress);
      case MotionNotify:
        return model.move(point(event.xmotion.x, event.xmotion.y),
                          (event.xmotion.state & ShiftMask) != 0);
      case LeaveNotify:
        return model.leave();
      case ConfigureNotify:
        if (event.xconfigure.width != width || event.xconfigure.height != height) {
          set_size(event.xconfigure.width, event.xconfigure.height);
        }
        return;
      case Expose:
        is_exposed = true;
        return;
      case UnmapNotify:
        return model.release();
      case DestroyNotify:
        model.release();
        is_open = false;
        return;
      case ClientMessage:
        if (static_cast<Atom>(event.xclient.data.l[0]) != close_atom) return;
        model.release();
        is_open = false;
        return;
      default:
        return;
    }
  }

  void handle_button(const XButtonEvent& event, bool is_press) {
    const Point at = point(event.x, event.y);
    const bool fine = (event.state & ShiftMask) != 0;
    if (event.button == Button1) {
      is_press ? model.press(at, static_cast<std::uint32_t>(event.time), fine) : model.release();
    } else if (is_press && (event.button == Button4 || event.button == Button5)) {
      model.wheel(at, event.button == Button4 ? 1 : -1, fine);
    }
  }

  void draw() {
    const ErrorTrap trap(display);
    cairo_t* context = cairo_create(surface);
    cairo_push_group(context);  // avoids flicker
    cairo_scale(context, scale(), scale());
    paint(context, model);
    cairo_pop_group_to_source(context);
    cairo_paint(context);
    cairo_destroy(context);
    cairo_surface_flush(surface);
  }

  Model& model;
  ::Display* display = nullptr;
  ::Window window = 0;
  Atom close_atom = 0;
  cairo_surface_t* surface = nullptr;
  int width = 0, height = 0;
  bool is_open = true, is_exposed = false;
  Clock::time_point last_idle = Clock::now();
};

// The scale that desktops set for high-resolution displays.
static double display_scale(::Display* display) {
  const char* dpi = XGetDefault(display, "Xft", "dpi");
  return dpi ? std::atof(dpi) / kUsualDpi : 1.0;
}

Window::Window(unsigned long parent, double scale, Model& model)
    : display_(std::make_unique<Display>(model)) {
  Display& self = *display_;
  self.display = XOpenDisplay(nullptr);
  if (!self.display) throw std::runtime_error("the X11 display cannot be opened");
  const ErrorTrap trap(self.display);
  if (scale <= 0.0) scale = display_scale(self.display);
  scale = std::clamp(scale, kLeastScale, kMostScale);
  const auto width = static_cast<int>(std::lround(kWidth * scale));
  const auto height = static_cast<int>(std::lround(kHeight * scale));
  const int screen = DefaultScreen(self.display);
  const ::Window root = RootWindow(self.display, screen);
  self.window =
      XCreateSimpleWindow(self.display, parent ? parent : root, 0, 0, static_cast<unsigned>(width),
                          static_cast<unsigned>(height), 0, 0, BlackPixel(self.display, screen));
  XSetWindowBackgroundPixmap(self.display, self.window, 0);  // not cleared before it is drawn
  XSelectInput(self.display, self.window,
               ButtonPressMask | ButtonReleaseMask | PointerMotionMask | LeaveWindowMask |
                   ExposureMask | StructureNotifyMask);
  XStoreName(self.display, self.window, "audiogen");
  self.close_atom = XInternAtom(self.display, "WM_DELETE_WINDOW", 0);
  XSetWMProtocols(self.display, self.window, &self.close_atom, 1);
  XSizeHints hints{};
  hints.flags = PMinSize | PSize | PAspect;
  hints.width = width;
  hints.height = height;
  hints.min_width = static_cast<int>(kWidth * kLeastScale);
  hints.min_height = static_cast<int>(kHeight * kLeastScale);
  hints.min_aspect = {4, 3};
  hints.max_aspect = {2, 1};
  XSetWMNormalHints(self.display, self.window, &hints);
  XWindowAttributes attributes;
  if (!XGetWindowAttributes(self.display, self.window, &attributes) || trap.has_failed()) {
    throw std::runtime_error("the host's window does not exist");
  }
  self.surface =
      cairo_xlib_surface_create(self.display, self.window, attributes.visual, width, height);
  self.set_size(width, height);
  if (parent) XMapRaised(self.display, self.window);
}

Window::~Window() = default;

unsigned long Window::id() const { return display_->window; }
int Window::width() const { return display_->width; }
int Window::height() const { return display_->height; }

void Window::resize(int width, int height) {
  if (!display_->is_open || width < 1 || height < 1) return;
  const ErrorTrap trap(display_->display);
  XResizeWindow(display_->display, display_->window, static_cast<unsigned>(width),
                static_cast<unsigned>(height));
  display_->set_size(width, height);
}

void Window::show(bool is_visible) {
  if (!display_->is_open) return;
  const ErrorTrap trap(display_->display);
  is_visible ? XMapRaised(display_->display, display_->window)
             : XUnmapWindow(display_->display, display_->window);
}

bool Window::idle() {
  Display& self = *display_;
  while (self.is_open && XPending(self.display) > 0) {
    XEvent event;
    XNextEvent(self.display, &event);
    // Only the last position of a series of motions counts.
    while (event.type == MotionNotify && XPending(self.display) > 0) {
      XEvent next;
      XPeekEvent(self.display, &next);
      if (next.type != MotionNotify) break;
      XNextEvent(self.display, &event);
    }
    self.handle(event);
  }
  if (!self.is_open) return false;
  const Clock::time_point now = Clock::now();
  self.model.advance(std::chrono::duration<double>(now - self.last_idle).count());
  self.last_idle = now;
  const bool has_changed = self.model.take_change();
  if (has_changed || self.is_exposed) {
    self.is_exposed = false;
    self.draw();
  }
  return true;
}

}  // namespace audiogen::plugin::editor

// What the VST3 hosts of the tests share: loads a plug-in and prepares it to render offline.
#pragma once

#include <dlfcn.h>
#include <pluginterfaces/base/ipluginbase.h>
#include <pluginterfaces/vst/ivstaudioprocessor.h>
#include <pluginterfaces/vst/ivsteditcontroller.h>
#include <public.sdk/source/vst/hosting/eventlist.h>
#include <public.sdk/source/vst/hosting/hostclasses.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace vst3_host {

using namespace Steinberg;
using namespace Steinberg::Vst;

inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s failed\n", what);
  std::exit(1);
}

template <class Interface>
IPtr<Interface> find(FUnknown* object, const char* name) {
  Interface* found = nullptr;
  object->queryInterface(Interface::iid, reinterpret_cast<void**>(&found));
  require(found != nullptr, name);
  return owned(found);
}

// The library of a bundle; it ends after its objects.
class Library {
 public:
  explicit Library(const char* path) : handle_(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    require(handle_ != nullptr, "dlopen");
    require(reinterpret_cast<bool (*)(void*)>(dlsym(handle_, "ModuleEntry"))(handle_),
            "ModuleEntry");
    factory_ = reinterpret_cast<IPluginFactory* (*)()>(dlsym(handle_, "GetPluginFactory"))();
  }
  ~Library() {
    factory_->release();
    reinterpret_cast<bool (*)()>(dlsym(handle_, "ModuleExit"))();
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  template <class Interface>
  IPtr<Interface> create(const char* category) const {
    for (int32 i = 0; i < factory_->countClasses(); ++i) {
      PClassInfo info;
      factory_->getClassInfo(i, &info);
      if (std::strcmp(info.category, category) != 0) continue;
      Interface* made = nullptr;
      factory_->createInstance(info.cid, Interface::iid, reinterpret_cast<void**>(&made));
      require(made != nullptr, category);
      return owned(made);
    }
    require(false, category);
    return {};
  }

 private:
  void* handle_;
  IPluginFactory* factory_;
};

// Both halves of the plug-in. `activate` prepares for blocks of `block` samples at 48 kHz, whose
// stereo output is in `left` and `right`.
class Plugin {
 public:
  explicit Plugin(const char* path)
      : library_(path),
        component(library_.create<IComponent>(kVstAudioEffectClass)),
        controller(library_.create<IEditController>(kVstComponentControllerClass)) {
    require(component->initialize(&host_) == kResultOk, "initialize of the processor");
    require(controller->initialize(&host_) == kResultOk, "initialize of the controller");
    processor = find<IAudioProcessor>(component, "IAudioProcessor");
  }
  ~Plugin() {
    processor->setProcessing(false);
    component->setActive(false);
    controller->terminate();
    component->terminate();
  }
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  void activate(int32 block) {
    ProcessSetup setup{kOffline, kSample32, block, 48000.0};
    require(processor->setupProcessing(setup) == kResultOk, "setupProcessing");
    component->activateBus(kAudio, kOutput, 0, true);
    component->activateBus(kEvent, kInput, 0, true);
    require(component->setActive(true) == kResultOk, "setActive");
    processor->setProcessing(true);
    left.resize(static_cast<std::size_t>(block));
    right.resize(static_cast<std::size_t>(block));
    channels_[0] = left.data();
    channels_[1] = right.data();
    output_.numChannels = 2;
    output_.silenceFlags = 0;
    output_.channelBuffers32 = channels_;
  }

  // Plays `n` samples with `events`, and with changes of parameters in and out or null.
  void process(int32 n, IEventList* events, IParameterChanges* in, IParameterChanges* out) {
    ProcessData data;
    data.processMode = kOffline;
    data.symbolicSampleSize = kSample32;
    data.numSamples = n;
    data.numOutputs = 1;
    data.outputs = &output_;
    data.inputEvents = events;
    data.inputParameterChanges = in;
    data.outputParameterChanges = out;
    require(processor->process(data) == kResultOk, "process");
  }

 private:
  HostApplication host_;
  Library library_;
  AudioBusBuffers output_;
  float* channels_[2] = {};

 public:
  IPtr<IComponent> component;
  IPtr<IEditController> controller;
  IPtr<IAudioProcessor> processor;
  std::vector<float> left, right;
};

inline Event note_on(int32 id, int16 pitch, int32 offset) {
  Event event = {};
  event.sampleOffset = offset;
  event.type = Event::kNoteOnEvent;
  event.noteOn = {0, pitch, 0.0f, 1.0f, 0, id};
  return event;
}

inline Event note_off(int32 id, int16 pitch, int32 offset) {
  Event event = {};
  event.sampleOffset = offset;
  event.type = Event::kNoteOffEvent;
  event.noteOff = {0, pitch, 0.0f, id, 0.0f};
  return event;
}

}  // namespace vst3_host
